//! A tokenizer that has no `tokenizer.json`, but `vocab.json` and `merges.txt`: byte-level BPE of
//! GPT-2, as in the checkpoints of OPT.
//!
//! The same `tokenizer.json` is made of them as transformers makes of its `GPT2Tokenizer`.

use std::path::Path;

use serde_json::{Map, Value, json};
use slicegpt_limits::{MAX_DESCRIPTION, MAX_TOKENIZER, read_text};

use crate::error::{CorpusError, Result};

/// The classes of transformers whose files these are.
const CLASSES: [&str; 2] = ["GPT2Tokenizer", "GPT2TokenizerFast"];

/// The special token of GPT-2, where no file names another.
const DEFAULT: &str = "<|endoftext|>";

/// Special tokens whose names are known.
const NAMED: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// The `tokenizer.json` of the tokenizer whose files are `vocab.json` and `merges.txt` in
/// `directory`; `None` if they are not both there.
///
/// # Errors
///
/// If a file cannot be read, or the tokenizer is of another class.
pub(crate) fn tokenizer_json(directory: &Path) -> Result<Option<Value>> {
    let [vocab, merges] = ["vocab.json", "merges.txt"].map(|name| directory.join(name));
    if !vocab.exists() || !merges.exists() {
        return Ok(None);
    }
    let config = object(&directory.join("tokenizer_config.json"), MAX_DESCRIPTION)?;
    let class = config.get("tokenizer_class").and_then(Value::as_str).unwrap_or(CLASSES[0]);
    if !CLASSES.contains(&class) {
        let class = class.into();
        return Err(CorpusError::TokenizerClass { directory: directory.into(), class });
    }
    let ids = object(&vocab, MAX_TOKENIZER)?;
    let text = read_text(&merges, MAX_TOKENIZER).map_err(CorpusError::io(&merges))?;
    let lines = text.lines().filter(|line| !line.starts_with("#version") && !line.is_empty());
    let merges: Vec<&str> = lines.collect();
    let added = Added::read(directory, &config, ids)?;
    let is_set = |name: &str| config.get(name).and_then(Value::as_bool).unwrap_or(false);
    let byte_level = |space: bool| {
        json!({"type": "ByteLevel", "add_prefix_space": space, "trim_offsets": true,
               "use_regex": true})
    };
    let post_processor = match (is_set("add_bos_token"), added.bos()) {
        (true, Some((bos, id))) => {
            let [first, text] = [
                json!({"SpecialToken": {"id": bos, "type_id": 0}}),
                json!({"Sequence": {"id": "A", "type_id": 0}}),
            ];
            let start = json!({"id": bos, "ids": [id], "tokens": [bos]});
            json!({"type": "TemplateProcessing", "single": [first, text],
                   "pair": [first, text, {"Sequence": {"id": "B", "type_id": 1}}],
                   "special_tokens": {bos: start}})
        }
        _ => json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false,
                    "use_regex": true}),
    };
    Ok(Some(json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added.tokens,
        "normalizer": null,
        "pre_tokenizer": byte_level(is_set("add_prefix_space")),
        "post_processor": post_processor,
        "decoder": byte_level(true),
        "model": {"type": "BPE", "dropout": null, "unk_token": null,
                  "continuing_subword_prefix": "", "end_of_word_suffix": "", "fuse_unk": false,
                  "byte_fallback": false, "vocab": added.vocab, "merges": merges},
    })))
}

/// The added tokens, and the vocabulary that they belong to.
struct Added {
    vocab: Map<String, Value>,
    tokens: Vec<Value>,
    bos: Option<String>,
}

impl Added {
    /// Those of `added_tokens_decoder` and `added_tokens.json`, and the special tokens by name.
    fn read(
        directory: &Path,
        config: &Map<String, Value>,
        vocab: Map<String, Value>,
    ) -> Result<Self> {
        let mut added = Self { vocab, tokens: Vec::new(), bos: None };
        let mut by_id: Vec<(u64, &Value)> = Vec::new();
        let decoder = config.get("added_tokens_decoder").and_then(Value::as_object);
        for (id, token) in decoder.into_iter().flatten() {
            by_id.extend(id.parse().ok().map(|id| (id, token)));
        }
        by_id.sort_by_key(|(id, _)| *id);
        for (id, token) in &by_id {
            added.add(token, Some(*id), None);
        }
        // With the newer list, transformers does not read the older files.
        let mut older = Map::new();
        if by_id.is_empty() {
            let more = object(&directory.join("added_tokens.json"), MAX_DESCRIPTION)?;
            let mut more: Vec<_> =
                more.iter().filter_map(|(token, id)| Some((id.as_u64()?, token))).collect();
            more.sort_unstable();
            for (id, token) in more {
                added.add(&token.as_str().into(), Some(id), None);
            }
            older = object(&directory.join("special_tokens_map.json"), MAX_DESCRIPTION)?;
        }
        for name in NAMED {
            let given = older.get(name).or_else(|| config.get(name));
            let default = Value::from(DEFAULT);
            let token = match given {
                Some(token) => token,
                None if ["bos_token", "eos_token", "unk_token"].contains(&name) => &default,
                None => continue,
            };
            if name == "bos_token" {
                added.bos = content(token).map(String::from);
            }
            added.add(token, None, Some(true));
        }
        Ok(added)
    }

    /// The token that begins a text, and its id.
    fn bos(&self) -> Option<(&str, u64)> {
        let bos = self.bos.as_deref()?;
        let is_it = |token: &&Value| token["content"] == bos;
        Some((bos, self.tokens.iter().find(is_it)?["id"].as_u64()?))
    }

    /// Adds a token, unless it is there: under its id in the vocabulary, else `id`, else the next.
    fn add(&mut self, token: &Value, id: Option<u64>, special: Option<bool>) {
        let Some(content) = content(token) else { return };
        if content.is_empty() || self.tokens.iter().any(|token| token["content"] == content) {
            return;
        }
        let taken = |token: &Value| token["id"].as_u64();
        let next = || {
            let ids = self.vocab.values().filter_map(Value::as_u64);
            ids.chain(self.tokens.iter().filter_map(taken)).max().map_or(0, |last| last + 1)
        };
        let known = self.vocab.get(content).and_then(Value::as_u64);
        let id = known.or(id).unwrap_or_else(next);
        let flag = |name: &str| token.get(name).and_then(Value::as_bool).unwrap_or(false);
        self.tokens.push(json!({
            "id": id,
            "content": content,
            "single_word": flag("single_word"),
            "lstrip": flag("lstrip"),
            "rstrip": flag("rstrip"),
            "normalized": flag("normalized"),
            "special": special.unwrap_or(flag("special")),
        }));
    }
}

/// The text of a token: a string, or an object that holds one.
fn content(token: &Value) -> Option<&str> {
    token.as_str().or_else(|| token.get("content")?.as_str())
}

/// The object of a JSON file; an empty one if there is no such file.
fn object(path: &Path, most: u64) -> Result<Map<String, Value>> {
    if !path.exists() {
        return Ok(Map::new());
    }
    let text = read_text(path, most).map_err(CorpusError::io(path))?;
    serde_json::from_str(&text)
        .map_err(|error| CorpusError::Tokenizer { path: path.into(), reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Vocabulary;

    /// A directory with these files.
    fn directory(files: &[(&str, Value)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            std::fs::write(directory.path().join(name), text).unwrap();
        };
        let tokens = ["<s>", "<pad>", "</s>", "a", "b", "\u{120}", "ab", "\u{120}ab", "#"];
        let vocab = tokens.iter().enumerate().map(|(id, token)| (token.to_string(), id.into()));
        write("vocab.json", &Value::Object(vocab.collect()).to_string());
        write("merges.txt", "#version: 0.2\na b\n\u{120} ab\n");
        for (name, json) in files {
            write(name, &json.to_string());
        }
        directory
    }

    fn ids(files: &[(&str, Value)], text: &str) -> Vec<u32> {
        Vocabulary::open(directory(files).path()).unwrap().encode(text).unwrap()
    }

    #[test]
    fn texts_begin_with_the_token_that_the_config_names() {
        // As in facebook/opt-125m.
        let end = json!({"content": "</s>", "single_word": false, "lstrip": false,
                         "rstrip": false, "normalized": true, "__type": "AddedToken"});
        let config = json!({"add_bos_token": true, "add_prefix_space": false, "bos_token": end,
                            "eos_token": end, "unk_token": end, "pad_token": "<pad>",
                            "tokenizer_class": "GPT2Tokenizer"});
        let files = [("tokenizer_config.json", config.clone())];
        assert_eq!(ids(&files, "ab ab"), [2, 6, 7]);
        assert_eq!(ids(&files, "ab</s>ab<pad>"), [2, 6, 2, 6, 1]);
        let vocabulary = Vocabulary::open(directory(&files).path()).unwrap();
        assert_eq!(vocabulary.decode(&[2, 6, 7]).unwrap(), "ab ab");
        assert_eq!(vocabulary.special(2).as_deref(), Some("</s>"));
        // The older file goes before the config.
        let map = ("special_tokens_map.json", json!({"bos_token": "<s>"}));
        assert_eq!(ids(&[files[0].clone(), map], "ab"), [0, 6]);
        let mut spaced = config;
        spaced["add_bos_token"] = false.into();
        spaced["add_prefix_space"] = true.into();
        assert_eq!(ids(&[("tokenizer_config.json", spaced)], "ab"), [7]);
    }

    #[test]
    fn without_a_config_it_is_the_tokenizer_of_gpt_2() {
        assert_eq!(ids(&[], "ab ab"), [6, 7]);
        // The default special token is not in the vocabulary.
        assert_eq!(ids(&[], "ab<|endoftext|>#"), [6, 9, 8]);
        let more = ("added_tokens.json", json!({"<x>": 9}));
        assert_eq!(ids(&[more], "<x><|endoftext|>"), [9, 10]);
        let decoder = json!({"9": {"content": "<y>", "special": true}});
        let config = json!({"added_tokens_decoder": decoder, "bos_token": "<y>"});
        assert_eq!(ids(&[("tokenizer_config.json", config)], "a<y>"), [3, 9]);
    }

    #[test]
    fn other_classes_are_refused_with_what_to_do() {
        let config = json!({"tokenizer_class": "CLIPTokenizer"});
        let directory = directory(&[("tokenizer_config.json", config)]);
        let error = Vocabulary::open(directory.path()).err().unwrap().to_string();
        assert!(error.contains("CLIPTokenizer") && error.contains("save_pretrained("), "{error}");
        let broken = self::directory(&[("vocab.json", json!([1]))]);
        let error = Vocabulary::open(broken.path()).err().unwrap().to_string();
        assert!(error.contains("vocab.json: invalid type"), "{error}");
    }
}
