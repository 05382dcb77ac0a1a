//! Tokenizers as metadata.

use std::path::Path;

use serde_json::{Map, Value, json};
use slicegpt_core::Unobserved;
use slicegpt_gguf::{Export, FileType, Vocabulary};
use slicegpt_testkit::{Gguf, fixtures};

use crate::{Numbered, spec};

/// The notes and the metadata under `tokenizer.` of the tokenizer in `directory`, with 64 token
/// ids.
fn metadata(directory: &Path) -> Result<(Map<String, Value>, Vec<String>), String> {
    let vocabulary = Vocabulary::read(directory, 64, None).map_err(|error| error.to_string())?;
    let spec = spec("llama2");
    let export = Export::new(&spec, FileType::F32, "test", vocabulary).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("model.gguf");
    export.write(&path, &Numbered::of(&spec), str::to_string, &Unobserved).unwrap();
    let metadata = Gguf::read(&path).metadata.into_iter();
    let own = metadata.filter_map(|(key, value)| {
        let key = key.strip_prefix("tokenizer.")?;
        Some((key.strip_prefix("ggml.").unwrap_or(key).to_string(), value))
    });
    Ok((own.collect(), export.notes().to_vec()))
}

fn write(directory: &Path, name: &str, json: &Value) {
    std::fs::write(directory.join(name), json.to_string()).unwrap();
}

/// SentencePiece's BPE as tokenizer.json: bytes, two letters, a merge.
fn pieces() -> Value {
    let added = |id: usize, content: &str, special: bool| {
        json!({
            "id": id, "content": content, "special": special,
        })
    };
    json!({
        "added_tokens": [
            added(0, "<unk>", true), added(1, "<s>", true), added(2, "</s>", true),
            added(9, "\u{2581}x", false),
        ],
        "normalizer": { "type": "Sequence", "normalizers": [
            { "type": "Prepend", "prepend": "\u{2581}" },
            { "type": "Replace", "pattern": { "String": " " }, "content": "\u{2581}" },
        ] },
        "pre_tokenizer": null,
        "post_processor": { "type": "TemplateProcessing", "single": [
            { "SpecialToken": { "id": "<s>", "type_id": 0 } },
            { "Sequence": { "id": "A", "type_id": 0 } },
        ] },
        "model": {
            "type": "BPE", "byte_fallback": true, "unk_token": "<unk>",
            "vocab": {
                "<unk>": 0, "<s>": 1, "</s>": 2, "<0x0A>": 3, "\u{2581}": 4, "a": 5, "b": 6,
                "ab": 7, "\u{2581}ab": 8,
            },
            "merges": [["a", "b"], ["\u{2581}", "ab"]],
        },
    })
}

#[test]
fn scores_follow_the_rank_of_merges() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "tokenizer.json", &pieces());
    let config = json!({
        "bos_token": { "content": "<s>" }, "eos_token": "</s>", "unk_token": "<unk>",
        "chat_template": [
            { "name": "default", "template": "D" }, { "name": "tool_use", "template": "T" },
        ],
    });
    write(directory.path(), "tokenizer_config.json", &config);
    write(directory.path(), "config.json", &json!({ "pad_token_id": 2, "eos_token_id": [2, 3] }));
    let (metadata, notes) = metadata(directory.path()).unwrap();
    assert_eq!(notes, Vec::<String>::new());
    for (key, value) in [
        ("model", json!("llama")),
        ("pre", json!("default")),
        ("add_space_prefix", json!(true)),
        ("add_bos_token", json!(true)),
        ("add_eos_token", json!(false)),
        ("bos_token_id", json!(1)),
        ("eos_token_id", json!(2)),
        ("unknown_token_id", json!(0)),
        ("padding_token_id", json!(2)),
        ("chat_template", json!("D")),
        ("chat_template.tool_use", json!("T")),
        ("chat_templates", json!(["tool_use"])),
    ] {
        assert_eq!(metadata[key], value, "{key}");
    }
    let first = |key: &str| json!(metadata[key].as_array().unwrap()[..11]);
    let tokens = [
        "<unk>",
        "<s>",
        "</s>",
        "<0x0A>",
        "\u{2581}",
        "a",
        "b",
        "ab",
        "\u{2581}ab",
        " x",
        "[PAD10]",
    ];
    assert_eq!(first("tokens"), json!(tokens));
    assert_eq!(first("token_type"), json!([2, 3, 3, 6, 1, 1, 1, 1, 1, 4, 5]));
    assert_eq!(json!(metadata["scores"].as_array().unwrap()[7..9]), json!([0.0, -1.0]));
    assert_eq!(metadata["tokens"].as_array().unwrap().len(), 64);
}

#[test]
fn byte_level_tokens_keep_their_merges() {
    let directory = tempfile::tempdir().unwrap();
    let byte_level = json!({ "type": "ByteLevel", "add_prefix_space": false, "use_regex": true });
    let tokenizer = json!({
        "added_tokens": [{ "id": 3, "content": "<|end|>", "special": false }],
        "normalizer": { "type": "NFC" },
        "pre_tokenizer": byte_level,
        "post_processor": byte_level,
        "model": {
            "type": "BPE",
            "vocab": { "a": 0, "\u{120}": 1, "\u{120}a": 2 },
            "merges": ["\u{120} a"],
        },
    });
    write(directory.path(), "tokenizer.json", &tokenizer);
    write(directory.path(), "config.json", &json!({ "eos_token_id": 3 }));
    std::fs::write(directory.path().join("chat_template.jinja"), "J").unwrap();
    let (metadata, notes) = metadata(directory.path()).unwrap();
    assert_eq!(notes, Vec::<String>::new());
    for (key, value) in [
        ("model", json!("gpt2")),
        ("pre", json!("gpt-2")),
        ("merges", json!(["\u{120} a"])),
        ("eos_token_id", json!(3)),
        ("add_bos_token", json!(false)),
        ("chat_template", json!("J")),
    ] {
        assert_eq!(metadata[key], value, "{key}");
    }
    assert_eq!(json!(metadata["token_type"].as_array().unwrap()[..5]), json!([1, 1, 1, 3, 5]));
    assert!(!metadata.contains_key("scores"));
}

#[test]
fn without_a_tokenizer_the_file_has_ids_only() {
    let (metadata, notes) = metadata(&fixtures().join("families/llama2")).unwrap();
    assert_eq!(metadata["model"], "none");
    assert!(notes[0].contains("token ids only"), "{notes:?}");
}

#[test]
fn unsupported_steps_are_an_error_or_a_note() {
    type Edit = fn(&mut Value);
    let errors: &[(Edit, &str)] = &[
        (|json| json["model"]["type"] = json!("Unigram"), "a Unigram tokenizer"),
        (|json| json["model"]["vocab"] = json!(null), "`model.vocab` is missing"),
        (|json| json["model"]["vocab"]["b"] = json!("6"), "an invalid id"),
        (|json| json["model"]["merges"] = json!(["a"]), "an invalid pair"),
        (|json| json["model"]["end_of_word_suffix"] = json!("</w>"), "`model.end_of_word_suffix`"),
        (|json| json["added_tokens"] = json!([{ "id": 1 }]), "without id or content"),
        (|json| json["added_tokens"][1]["content"] = json!("ab"), "tokens 1 and 7 are both \"ab\""),
    ];
    let notes: &[(Edit, &str)] = &[
        (
            |json| drop(json["model"]["vocab"].as_object_mut().unwrap().remove("<0x0A>")),
            "no tokens for bytes",
        ),
        (|json| json["normalizer"] = json!({ "type": "Lowercase" }), "step Lowercase"),
        (|json| json["model"]["vocab"]["far"] = json!(64), "1 tokens of the tokenizer"),
        (
            |json| {
                json["normalizer"] = json!(null);
                json["pre_tokenizer"] = json!({ "type": "Metaspace", "prepend_scheme": "first" });
            },
            "or follows a special token",
        ),
        (
            |json| json["post_processor"]["single"][0]["SpecialToken"]["id"] = json!("</s>"),
            "puts \"</s>\" before a text",
        ),
    ];
    let read = |edit: &Edit| {
        let directory = tempfile::tempdir().unwrap();
        let mut json = pieces();
        edit(&mut json);
        write(directory.path(), "tokenizer.json", &json);
        write(directory.path(), "tokenizer_config.json", &json!({ "bos_token": "<s>" }));
        metadata(directory.path())
    };
    for (edit, words) in errors {
        let error = read(edit).expect_err(words);
        assert!(error.contains("tokenizer.json") || error.contains("both"), "{error}");
        assert!(error.contains(words), "{error}");
    }
    for (edit, words) in notes {
        let (_, notes) = read(edit).unwrap();
        assert!(notes.iter().any(|note| note.contains(words)), "{words}: {notes:?}");
    }
}

/// A field of bytes in a protocol buffer.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, bytes.len() as u8], bytes].concat()
}

#[test]
fn tokenizer_model_alone_is_enough() {
    let directory = tempfile::tempdir().unwrap();
    let piece = |text: &str, kind: u8, score: f32| {
        let score = [&[2 << 3 | 5], score.to_le_bytes().as_slice()].concat();
        field(1, &[field(1, text.as_bytes()), score, vec![3 << 3, kind]].concat())
    };
    let pieces = [
        piece("<unk>", 2, 0.0),
        piece("<s>", 3, 0.0),
        piece("</s>", 3, 0.0),
        piece("<0x0A>", 6, 0.0),
        piece("ab", 1, -1.5),
        field(2, &[3 << 3, 2]),
    ];
    std::fs::write(directory.path().join("tokenizer.model"), pieces.concat()).unwrap();
    let config = json!({
        "bos_token": "<s>", "eos_token": "</s>",
        "added_tokens_decoder": { "5": { "content": "<|user|>", "special": true } },
    });
    write(directory.path(), "tokenizer_config.json", &config);
    write(directory.path(), "added_tokens.json", &json!({ "<extra>": 6 }));
    let (metadata, notes) = metadata(directory.path()).unwrap();
    assert_eq!(notes, Vec::<String>::new());
    for (key, value) in [
        ("model", json!("llama")),
        ("bos_token_id", json!(1)),
        ("eos_token_id", json!(2)),
        ("add_bos_token", json!(true)),
        ("add_space_prefix", json!(true)),
    ] {
        assert_eq!(metadata[key], value, "{key}");
    }
    assert_eq!(
        json!(metadata["token_type"].as_array().unwrap()[..8]),
        json!([2, 3, 3, 6, 1, 3, 4, 5])
    );
    assert_eq!(metadata["scores"][4], json!(-1.5));
}
