//! Tokenizers come back: the same tokens, and the same ids for a text.

use std::path::Path;

use serde_json::{Value, json};
use slicegpt_core::Unobserved;
use slicegpt_corpus::Vocabulary as Tokenizer;
use slicegpt_gguf::{Export, FileType, GgufError, Import, TokenizerFiles, Vocabulary};
use slicegpt_testkit::{RawGguf, fixtures};

use crate::{Fixture, Scratch};

/// A model with the tokenizer of a trained fixture. The weights are those of another.
fn file(name: &str) -> RawGguf {
    let directory = fixtures().join("models").join(name);
    let model = Fixture::edited("llama2", |config| config["vocab_size"] = json!(2048));
    let vocabulary = Vocabulary::read(&directory, 2048, None).unwrap();
    let scratch = Scratch::of(b"");
    let path = scratch.folder().join("with tokenizer.gguf");
    let export = Export::new(&model.spec, FileType::F32, "test", vocabulary).unwrap();
    let zeros = Zeros;
    export.write(&path, &zeros, str::to_string, &Unobserved).unwrap();
    RawGguf::read(&path)
}

struct Zeros;

impl slicegpt_core::TensorSource for Zeros {
    type Error = std::io::Error;

    fn contains(&self, _: &str) -> bool {
        true
    }

    fn tensor(&self, _: &str, shape: &[usize]) -> std::io::Result<Vec<f32>> {
        Ok(vec![0.0; shape.iter().product()])
    }

    fn rows(&self, _: &str, _: [usize; 2], _: std::ops::Range<usize>) -> std::io::Result<Vec<f32>> {
        unreachable!("small tensors are read whole")
    }

    fn gather(&self, _: &str, _: [usize; 2], _: &[u32]) -> std::io::Result<Vec<f32>> {
        unreachable!("small tensors are read whole")
    }
}

fn imported(file: &RawGguf, pre: Option<&str>) -> Result<TokenizerFiles, GgufError> {
    Import::open(&Scratch::of(&file.bytes()).path).unwrap().tokenizer(pre)
}

fn json_of<'a>(files: &'a TokenizerFiles, name: &str) -> &'a Value {
    &files.files.iter().find(|(own, _)| *own == name).unwrap().1
}

fn read(directory: &Path, name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(directory.join(name)).unwrap()).unwrap()
}

/// Text in other scripts, with runs of blanks, digits and line ends.
const STRANGE: &str = concat!(
    "  Zwölf Boxkämpfer\n\n\n\tjagen 12345 Eva\u{301} … 東京 🦀🦀 don't DON'T \r\n ",
    "<s>x</s> <|end_of_text|>end  ",
);

#[test]
fn ids_of_a_text_come_back() {
    let text = std::fs::read_to_string(fixtures().join("text/valid.txt")).unwrap();
    for name in ["ts-llama3-gqa", "ts-phi3", "ts-opt", "ts-phi"] {
        let directory = fixtures().join("models").join(name);
        let files = imported(&file(name), None).unwrap();
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("tokenizer.json");
        std::fs::write(path, json_of(&files, "tokenizer.json").to_string()).unwrap();
        let (ours, right) =
            (Tokenizer::open(scratch.path()).unwrap(), Tokenizer::open(&directory).unwrap());
        for text in [text.as_str(), STRANGE, "", " ", "a"] {
            assert_eq!(ours.encode(text).unwrap(), right.encode(text).unwrap(), "{name}: {text}");
        }
        let ids = right.encode(STRANGE).unwrap();
        assert_eq!(ours.decode(&ids).unwrap(), right.decode(&ids).unwrap(), "{name}");
        let (config, given) =
            (json_of(&files, "tokenizer_config.json"), read(&directory, "tokenizer_config.json"));
        for token in ["bos_token", "eos_token", "pad_token"] {
            let token_of = |config: &Value| match &config[token] {
                Value::Object(token) => token["content"].clone(),
                other => other.clone(),
            };
            assert_eq!(token_of(config), token_of(&given), "{name} {token}");
        }
    }
}

#[test]
fn a_byte_level_tokenizer_is_the_same_file() {
    let directory = fixtures().join("models/ts-llama3-gqa");
    let files = imported(&file("ts-llama3-gqa"), None).unwrap();
    let (ours, right) = (json_of(&files, "tokenizer.json"), read(&directory, "tokenizer.json"));
    for field in ["added_tokens", "normalizer", "pre_tokenizer", "decoder", "model"] {
        assert_eq!(ours[field], right[field], "{field}");
    }
}

#[test]
fn chat_templates_and_ends_of_turns_come_back() {
    let mut file = file("ts-llama3-gqa");
    file.set("tokenizer.chat_template", RawGguf::text("{{ messages }}"));
    let files = imported(&file, None).unwrap();
    assert_eq!(json_of(&files, "tokenizer_config.json")["chat_template"], "{{ messages }}");
    file.set("tokenizer.chat_templates", RawGguf::texts(&["tool_use"]));
    file.set("tokenizer.chat_template.tool_use", RawGguf::text("{{ tools }}"));
    file.set("tokenizer.ggml.eot_token_id", RawGguf::number(5));
    let files = imported(&file, None).unwrap();
    let templates = json!([
        { "name": "default", "template": "{{ messages }}" },
        { "name": "tool_use", "template": "{{ tools }}" },
    ]);
    assert_eq!(json_of(&files, "tokenizer_config.json")["chat_template"], templates);
    assert_eq!(json_of(&files, "generation_config.json")["eos_token_id"], json!([1, 5]));
}

#[test]
fn a_pre_tokenizer_that_is_not_known_can_be_named() {
    let mut file = file("ts-llama3-gqa");
    file.set("tokenizer.ggml.pre", RawGguf::text("bloom"));
    let error = imported(&file, None).unwrap_err().to_string();
    assert!(error.contains("`bloom`") && error.contains("llama-bpe"), "{error}");
    assert!(imported(&file, Some("llama-bpe")).is_ok());
    file.remove("tokenizer.ggml.pre");
    assert!(imported(&file, None).unwrap_err().to_string().contains("none is named"));
}

/// Otherwise texts would begin without the token that the model was trained with.
#[test]
fn a_token_before_a_text_must_be_one_of_the_tokenizer() {
    let mut file = file("ts-llama3-gqa");
    let key = "tokenizer.ggml.bos_token_id";
    file.set("tokenizer.ggml.add_bos_token", RawGguf::flag(true));
    file.set(key, RawGguf::number(2048));
    let error = imported(&file, None).unwrap_err().to_string();
    assert!(error.contains("`tokenizer.ggml.bos_token_id` is 2048, which is no token"), "{error}");
    // -1 is none, and one that is not put before a text does no harm.
    for (key, value) in [(key, RawGguf::number(u32::MAX)), (key, RawGguf::number(5000))] {
        file.set(key, value);
        let files = imported(&file, None).unwrap();
        assert_eq!(json_of(&files, "tokenizer.json")["post_processor"], Value::Null);
        file.set("tokenizer.ggml.add_bos_token", RawGguf::flag(false));
    }
}

#[test]
fn a_damaged_tokenizer_is_refused() {
    type Damage = fn(&mut RawGguf);
    let damages: &[(&str, Damage, &str)] = &[
        ("ts-phi3", |file| file.remove("tokenizer.ggml.tokens"), "tokens` is missing"),
        ("ts-phi3", |file| file.remove("tokenizer.ggml.scores"), "a score for each token"),
        (
            "ts-phi3",
            |file| file.set("tokenizer.ggml.tokens", RawGguf::texts(&["a"])),
            "2048 types for 1 tokens",
        ),
        (
            "ts-phi3",
            |file| file.set("tokenizer.ggml.tokens", RawGguf::texts(&["a"; 2049])),
            "2049 tokens, and the model has 2048",
        ),
        (
            "ts-phi3",
            |file| file.set("tokenizer.ggml.tokens", RawGguf::texts(&["a"; 2048])),
            "tokens 0 and 1 are both \"a\"",
        ),
        ("ts-phi3", |file| file.set("tokenizer.ggml.model", RawGguf::text("t5")), "kind `t5`"),
        ("ts-llama3-gqa", |file| file.remove("tokenizer.ggml.merges"), "merges` is missing"),
        (
            "ts-llama3-gqa",
            |file| file.set("tokenizer.ggml.merges", RawGguf::texts(&["ab"])),
            "merge \"ab\"",
        ),
        (
            "ts-llama3-gqa",
            |file| file.set("tokenizer.ggml.merges", RawGguf::texts(&["zzz qqq"])),
            "merge \"zzz qqq\"",
        ),
    ];
    for (name, damage, says) in damages {
        let mut file = file(name);
        damage(&mut file);
        let error = imported(&file, None).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn a_file_without_a_tokenizer_says_so() {
    let scratch = Scratch::export(&Fixture::new("llama2"), FileType::F32);
    let files = Import::open(&scratch.path).unwrap().tokenizer(None).unwrap();
    assert!(files.notes[0].contains("no tokenizer"), "{:?}", files.notes);
    assert_eq!(files.files.len(), 1, "only the generation config");
}
