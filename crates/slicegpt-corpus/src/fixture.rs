//! A tokenizer for tests: a token per word, `w0` to `w999`, and one for a blank line.

use serde_json::{Map, Value, json};

use crate::Vocabulary;

pub(crate) const BOS: u32 = 1;
pub(crate) const EOS: u32 = 2;
pub(crate) const SEPARATOR: u32 = 3;
/// Id of `w0`.
pub(crate) const WORDS: u32 = 10;

/// The tokenizer, which puts `<s>` before and `</s>` after a text.
pub(crate) fn vocabulary() -> Vocabulary {
    let mut words = Map::new();
    for (id, word) in ["<unk>", "<s>", "</s>", "\n\n"].into_iter().enumerate() {
        words.insert(word.into(), id.into());
    }
    for word in 0..1000 {
        words.insert(format!("w{word}"), (WORDS + word).into());
    }
    let special = |id: u32, content: &str| {
        json!({"id": id, "content": content, "special": true, "single_word": false,
               "lstrip": false, "rstrip": false, "normalized": false})
    };
    let template = |pieces: &[&str]| -> Value {
        let piece = |name: &&str| match *name {
            "A" | "B" => json!({"Sequence": {"id": name, "type_id": 0}}),
            _ => json!({"SpecialToken": {"id": name, "type_id": 0}}),
        };
        pieces.iter().map(piece).collect()
    };
    let tokenizer = json!({
        "version": "1.0",
        "truncation": {"direction": "Right", "max_length": 4, "strategy": "LongestFirst",
                       "stride": 0},
        "padding": {"strategy": {"Fixed": 6}, "direction": "Right", "pad_to_multiple_of": null,
                    "pad_id": 0, "pad_type_id": 0, "pad_token": "<unk>"},
        "added_tokens": [special(BOS, "<s>"), special(EOS, "</s>")],
        "normalizer": null,
        "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "\\n\\n|\\w+"},
                          "behavior": "Removed", "invert": true},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": template(&["<s>", "A", "</s>"]),
            "pair": template(&["<s>", "A", "</s>", "B", "</s>"]),
            "special_tokens": {
                "<s>": {"id": "<s>", "ids": [BOS], "tokens": ["<s>"]},
                "</s>": {"id": "</s>", "ids": [EOS], "tokens": ["</s>"]},
            },
        },
        "decoder": null,
        "model": {"type": "WordLevel", "vocab": words, "unk_token": "<unk>"},
    });
    let directory = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(directory.path().join("tokenizer.json"), tokenizer.to_string())
        .expect("a writable temporary directory");
    Vocabulary::open(directory.path()).expect("a valid tokenizer")
}

/// The words `wA wB ..` for `A..B`.
pub(crate) fn words(range: std::ops::Range<u32>) -> String {
    range.map(|word| format!("w{word}")).collect::<Vec<_>>().join(" ")
}
