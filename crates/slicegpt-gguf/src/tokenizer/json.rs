//! [`TokenizerJson`]: the parts of a `tokenizer.json` of Hugging Face's tokenizers that BPE needs.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::{GgufError, Result};

/// A `tokenizer.json`.
#[derive(Debug)]
pub(super) struct TokenizerJson {
    pub path: PathBuf,
    /// Token ids by text.
    pub vocab: HashMap<String, usize>,
    /// Pairs of tokens to be merged, in order of priority.
    pub merges: Vec<[String; 2]>,
    pub added: Vec<Added>,
    /// Whether a word that is a token is not split further.
    pub ignore_merges: bool,
    /// Whether characters that are not tokens become their bytes.
    pub byte_fallback: bool,
    pub unknown: Option<String>,
    pub normalizers: Vec<Value>,
    pub pre_tokenizers: Vec<Value>,
    pub post_processors: Vec<Value>,
    decoders: Vec<Value>,
}

/// A token that was added to the vocabulary.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Added {
    pub id: usize,
    pub content: String,
    pub special: bool,
    /// `rstrip`: the token consumes the spaces after it.
    pub strips_spaces: bool,
}

impl TokenizerJson {
    /// Reads the file in `directory`, if there is one.
    pub fn read(directory: &Path) -> Result<Option<Self>> {
        let path = directory.join("tokenizer.json");
        if !path.exists() {
            return Ok(None);
        }
        let json = read_json(&path)?;
        let wrong = |reason: &str| GgufError::tokenizer(&path, reason);
        let model = json.get("model").ok_or_else(|| wrong("`model` is missing"))?;
        // The oldest files have no type.
        let kind = text(model, "type").unwrap_or("BPE");
        if kind != "BPE" {
            let reason = format!("a {kind} tokenizer; llama.cpp runs BPE for this model");
            return Err(wrong(&reason));
        }
        for field in ["continuing_subword_prefix", "end_of_word_suffix"] {
            if text(model, field).is_some_and(|mark| !mark.is_empty()) {
                return Err(wrong(&format!(
                    "`model.{field}` is set, which llama.cpp does not support"
                )));
            }
        }
        let vocab = model.get("vocab").and_then(Value::as_object);
        let vocab = vocab.ok_or_else(|| wrong("`model.vocab` is missing or not an object"))?;
        let vocab = vocab.iter().map(|(text, id)| Some((text.clone(), id.as_u64()? as usize)));
        let vocab = vocab.collect::<Option<HashMap<_, _>>>();
        let merges = list(model, "merges").iter().map(merge).collect::<Option<Vec<_>>>();
        let added = list(&json, "added_tokens").iter().map(added).collect::<Option<Vec<_>>>();
        let flag = |name: &str| model.get(name).and_then(Value::as_bool).unwrap_or(false);
        Ok(Some(Self {
            vocab: vocab.ok_or_else(|| wrong("`model.vocab` holds an invalid id"))?,
            merges: merges.ok_or_else(|| wrong("`model.merges` holds an invalid pair"))?,
            added: added
                .ok_or_else(|| wrong("`added_tokens` holds a token without id or content"))?,
            ignore_merges: flag("ignore_merges"),
            byte_fallback: flag("byte_fallback"),
            unknown: text(model, "unk_token").map(str::to_string),
            normalizers: steps(&json, "normalizer", "normalizers"),
            pre_tokenizers: steps(&json, "pre_tokenizer", "pretokenizers"),
            post_processors: steps(&json, "post_processor", "processors"),
            decoders: steps(&json, "decoder", "decoders"),
            path,
        }))
    }

    /// Whether tokens consist of bytes, each written as a printable character (as in GPT-2).
    pub fn is_byte_level(&self) -> bool {
        let steps = self.pre_tokenizers.iter().chain(&self.decoders);
        steps.map(kind).any(|kind| kind == "ByteLevel")
    }

    /// The id of the token `text`.
    pub fn id(&self, text: &str) -> Option<usize> {
        let added = self.added.iter().find(|added| added.content == text).map(|added| added.id);
        added.or_else(|| self.vocab.get(text).copied())
    }
}

/// The `type` of a step.
pub(super) fn kind(step: &Value) -> &str {
    text(step, "type").unwrap_or("")
}

/// The value of a field that is a string.
pub(super) fn text<'a>(value: &'a Value, field: &str) -> Option<&'a str> {
    value.get(field).and_then(Value::as_str)
}

/// Reads a JSON file.
pub(super) fn read_json(path: &Path) -> Result<Value> {
    let text = slicegpt_limits::read_text(path, slicegpt_limits::MAX_TOKENIZER);
    let text = text.map_err(GgufError::io(path))?;
    serde_json::from_str(&text)
        .map_err(|error| GgufError::tokenizer(path, format!("not valid JSON: {error}")))
}

fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value.get(field).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A single step, or the steps of a sequence.
fn steps(json: &Value, field: &str, inner: &str) -> Vec<Value> {
    match json.get(field) {
        None | Some(Value::Null) => Vec::new(),
        Some(step) if kind(step) == "Sequence" => {
            list(step, inner).iter().flat_map(|step| steps(&wrap(step), "step", inner)).collect()
        }
        Some(step) => vec![step.clone()],
    }
}

fn wrap(step: &Value) -> Value {
    serde_json::json!({ "step": step })
}

/// Reads a merge: `"a b"` or, since 2024, `["a", "b"]`.
fn merge(merge: &Value) -> Option<[String; 2]> {
    match merge {
        Value::String(pair) => {
            let (left, right) = pair.split_once(' ')?;
            (!right.contains(' ')).then(|| [left.into(), right.into()])
        }
        Value::Array(pair) => match pair.as_slice() {
            [left, right] => Some([left.as_str()?.into(), right.as_str()?.into()]),
            _ => None,
        },
        _ => None,
    }
}

/// The added tokens where there is no `tokenizer.json`: by id in `tokenizer_config.json`, by text
/// in `added_tokens.json`.
pub(super) fn added_elsewhere(directory: &Path) -> Result<Vec<Added>> {
    let read = |name: &str| {
        let path = directory.join(name);
        if path.exists() { read_json(&path) } else { Ok(Value::Null) }
    };
    let (by_text, config) = (read("added_tokens.json")?, read("tokenizer_config.json")?);
    let by_text = by_text.as_object().into_iter().flatten().filter_map(|(content, id)| {
        let id = id.as_u64()? as usize;
        Some(Added { id, content: content.clone(), special: false, strips_spaces: false })
    });
    let by_id = config.get("added_tokens_decoder").and_then(Value::as_object);
    let by_id = by_id.into_iter().flatten().filter_map(|(id, token)| {
        let mut token = token.clone();
        token.as_object_mut()?.insert("id".into(), id.parse::<u64>().ok()?.into());
        added(&token)
    });
    Ok(by_text.chain(by_id).collect())
}

fn added(token: &Value) -> Option<Added> {
    let flag = |name: &str| token.get(name).and_then(Value::as_bool).unwrap_or(false);
    Some(Added {
        id: token.get("id")?.as_u64()? as usize,
        content: text(token, "content")?.into(),
        special: flag("special"),
        strips_spaces: flag("rstrip"),
    })
}
