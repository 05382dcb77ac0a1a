//! What a `tokenizer.json` may ask for, which is checked before the tokenizer is made of it.
//!
//! The library that makes it trusts the file: normalisers may double a text 40 times, a template
//! may put a million tokens around it, and an added token of 200 000 characters takes hours to
//! search for. The limits here are several times what any known tokenizer needs.

mod added;
mod limits;
mod shape;
mod steps;

use serde::Deserialize;
use serde_json::Value;

use crate::tokenizer_file::added::Added;
use crate::tokenizer_file::limits::{MAX_AFFIX, MAX_WORD, at_most};
use crate::tokenizer_file::shape::Shape;

/// The parts of a tokenizer whose cost is counted.
#[derive(Deserialize)]
struct Parts {
    #[serde(default)]
    added_tokens: Vec<Added>,
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
    #[serde(default)]
    post_processor: Value,
    #[serde(default)]
    decoder: Value,
    model: Model,
}

/// The numbers and texts of a model.
#[derive(Deserialize)]
struct Model {
    #[serde(default)]
    max_input_chars_per_word: Option<u64>,
    #[serde(default)]
    continuing_subword_prefix: Option<String>,
    #[serde(default)]
    end_of_word_suffix: Option<String>,
}

/// Checks the JSON of a tokenizer.
///
/// # Errors
///
/// What is wrong with it, or larger than the limits.
pub(crate) fn check(bytes: &[u8]) -> Result<(), String> {
    // The first reading keeps nothing, the second only what the first found to be small.
    let shape: Shape = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    shape.check()?;
    let parts: Parts = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let growth = steps::normalizer(&parts.normalizer)?;
    steps::pre_tokenizer(&parts.pre_tokenizer)?;
    steps::decoder(&parts.decoder)?;
    steps::post_processor(&parts.post_processor)?;
    added::check(&parts.added_tokens, growth)?;
    let model = parts.model;
    if let Some(most) = model.max_input_chars_per_word.filter(|most| *most > MAX_WORD) {
        return Err(format!(
            "takes words of {most} characters, where at most {MAX_WORD} are allowed"
        ));
    }
    for affix in [model.continuing_subword_prefix, model.end_of_word_suffix].iter().flatten() {
        at_most(affix.len(), MAX_AFFIX, "bytes before or after a part of a word")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn says(changes: &Value) -> String {
        let mut tokenizer = json!({"version": "1.0", "model": {"type": "BPE", "vocab": {}}});
        for (name, part) in changes.as_object().unwrap() {
            tokenizer[name] = part.clone();
        }
        check(tokenizer.to_string().as_bytes()).err().unwrap_or_default()
    }

    fn replace(pattern: Value, content: &str) -> Value {
        json!({"type": "Replace", "pattern": pattern, "content": content})
    }

    fn sequence(list: &str, steps: Vec<Value>) -> Value {
        json!({"type": "Sequence", list: steps})
    }

    fn token(content: &str, special: bool) -> Value {
        json!({"id": 1, "content": content, "special": special, "normalized": true})
    }

    #[test]
    fn the_tokenizers_of_models_are_within_the_limits() {
        assert_eq!(says(&json!({})), "");
        let space = replace(json!({"String": " "}), "\u{2581}");
        let prepend = json!({"type": "Prepend", "prepend": "\u{2581}"});
        let llama = sequence("normalizers", vec![prepend, space]);
        let decoders = vec![
            replace(json!({"String": "\u{2581}"}), " "),
            json!({"type": "ByteFallback"}),
            json!({"type": "Fuse"}),
            json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}),
        ];
        let decoder = sequence("decoders", decoders);
        assert_eq!(says(&json!({"normalizer": llama, "decoder": decoder})), "");
        let split = json!({"type": "Split", "pattern": {"Regex": "\\p{L}+"}});
        let words = sequence(
            "pretokenizers",
            vec![split, json!({"type": "ByteLevel", "add_prefix_space": true})],
        );
        let added: Vec<Value> = (0..8000).map(|i| token(&format!("<unused{i}>"), false)).collect();
        assert_eq!(says(&json!({"pre_tokenizer": words, "added_tokens": added})), "");
        let lower = json!({"type": "Lowercase"});
        let clip = vec![json!({"type": "NFC"}), replace(json!({"Regex": "\\s+"}), " "), lower];
        assert_eq!(says(&json!({"normalizer": sequence("normalizers", clip)})), "");
    }

    #[test]
    fn steps_that_lengthen_a_text_are_counted() {
        for (pattern, content, times) in [
            (json!({"String": "h"}), "hh".to_string(), 40),
            (json!({"Regex": "."}), "h".repeat(50_000), 2),
            (json!({"Regex": "x*"}), "h".into(), 40),
            (json!({"String": ""}), "h".into(), 40),
        ] {
            let steps = vec![replace(pattern, &content); times];
            let normalizer = sequence("normalizers", steps.clone());
            let found = says(&json!({"normalizer": normalizer}));
            assert!(found.starts_with("its normalizer makes a text"), "{found}");
            let nested = steps
                .into_iter()
                .fold(json!(null), |inner, step| sequence("decoders", vec![step, inner]));
            let found = says(&json!({"decoder": nested}));
            assert!(found.starts_with("its decoder makes a text"), "{found}");
        }
        let bytes = vec![json!({"type": "ByteLevel", "add_prefix_space": false}); 40];
        let found = says(&json!({"pre_tokenizer": sequence("pretokenizers", bytes)}));
        assert!(found.starts_with("its pre_tokenizer makes a text"), "{found}");
        let steps = vec![json!({"type": "NFC"}); 1000];
        let found = says(&json!({"normalizer": sequence("normalizers", steps)}));
        assert!(found.contains("1000 steps in its normalizer"), "{found}");
    }

    #[test]
    fn maps_of_characters_are_counted() {
        // A trie of no units, then texts that end with 0.
        let map = |text: &str| {
            let bytes = [&[0; 4][..], text.as_bytes(), &[0]].concat();
            json!({"type": "Precompiled", "precompiled_charsmap": steps::tests::base64(&bytes)})
        };
        assert_eq!(says(&json!({"normalizer": map("a\0bcd")})), "");
        let found = says(&json!({"normalizer": map(&"h".repeat(300))}));
        assert!(found.starts_with("its normalizer makes a text"), "{found}");
        let several = sequence("normalizers", vec![map("hhhhhhhhh"); 40]);
        let found = says(&json!({"normalizer": several}));
        assert!(found.starts_with("its normalizer makes a text"), "{found}");
    }

    /// The library would make room for what the length says: 8 GB, in a file of 100 bytes.
    #[test]
    fn the_length_of_a_trie_is_compared_with_the_map() {
        for (length, trie, fits) in [(8, 8, true), (9, 8, false), (u32::MAX, 0, false)] {
            let bytes = [&length.to_le_bytes()[..], &vec![0; trie][..]].concat();
            let map = json!({"precompiled_charsmap": steps::tests::base64(&bytes)});
            let nested = sequence("normalizers", vec![sequence("normalizers", vec![map.clone()])]);
            for normalizer in [map, nested] {
                let found = says(&json!({"normalizer": normalizer}));
                assert_eq!(found.contains("whose trie would have"), !fits, "{length}: {found}");
            }
        }
    }

    #[test]
    fn templates_are_counted() {
        let piece = |count| vec![json!({"SpecialToken": {"id": "<s>", "type_id": 0}}); count];
        let template = |count, ids: usize| {
            let start = json!({"id": "<s>", "ids": vec![0; ids], "tokens": vec!["<s>"; ids]});
            json!({"type": "TemplateProcessing", "single": piece(count), "pair": [],
                   "special_tokens": {"<s>": start}})
        };
        assert_eq!(says(&json!({"post_processor": template(2, 1)})), "");
        let found = says(&json!({"post_processor": template(15_000, 1)}));
        assert!(found.contains("values in its post_processor"), "{found}");
        let found = says(&json!({"post_processor": template(100, 100)}));
        assert!(found.contains("has 10000 tokens around a text"), "{found}");
        let several = vec![template(10, 1); 200];
        let found = says(&json!({"post_processor": sequence("processors", several)}));
        assert!(found.contains("200 steps in its post_processor"), "{found}");
        let twice = vec![json!({"Sequence": {"id": "A", "type_id": 0}}); 2];
        let twice = json!({"type": "TemplateProcessing", "single": twice, "special_tokens": {}});
        assert!(says(&json!({"post_processor": twice})).contains("puts a text twice"));
    }

    #[test]
    fn added_tokens_are_counted() {
        let found = says(&json!({"added_tokens": [token(&"a".repeat(200_000), false)]}));
        assert!(found.contains("200000 bytes in an added token"), "{found}");
        let longer = replace(json!({"String": "h"}), &"k".repeat(50));
        let long = token(&"h".repeat(1000), true);
        let found = says(&json!({"added_tokens": [long], "normalizer": longer}));
        assert!(found.contains("50000 bytes in an added token"), "{found}");
        let many = |count: usize, length: usize| {
            let tokens = (0..count).map(|i| token(&format!("{}{i}", "h".repeat(length)), false));
            says(&json!({"added_tokens": tokens.collect::<Vec<_>>()}))
        };
        assert!(many(90, 1000).contains("sum of squares"), "{}", many(90, 1000));
        assert_eq!((many(90, 100), many(1000, 1000)), (String::new(), String::new()));
        assert!(many(5000, 1000).contains("bytes in added tokens"), "{}", many(5000, 1000));
    }

    #[test]
    fn models_are_counted() {
        let model = |field: &str, value: Value| {
            let mut model = json!({"type": "WordPiece", "vocab": {"h": 0}});
            model[field] = value;
            says(&json!({"model": model}))
        };
        assert_eq!(model("max_input_chars_per_word", 100.into()), "");
        let found = model("max_input_chars_per_word", 1_000_000_000.into());
        assert!(found.contains("words of 1000000000 characters"), "{found}");
        let found = model("continuing_subword_prefix", "#".repeat(100).into());
        assert!(found.contains("100 bytes before or after"), "{found}");
        let found = model("unk_token", "u".repeat(5000).into());
        assert!(found.contains("5000 bytes in a text of its model"), "{found}");
        let found = says(&json!({"model": {"type": "BPE", "vocab": {"a".repeat(5000): 0}}}));
        assert!(found.contains("5000 bytes in a text of its model"), "{found}");
        let found = says(&json!({"model": {"type": "BPE", "type": "BPE", "vocab": {}}}));
        assert_eq!(found, "");
        let twice = br#"{"model": {"max_input_chars_per_word": 9}, "model": {}}"#;
        assert!(check(twice).unwrap_err().contains("duplicate field `model`"));
    }
}
