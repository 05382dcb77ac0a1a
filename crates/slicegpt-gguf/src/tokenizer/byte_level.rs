//! Byte-level BPE, which llama.cpp calls `gpt2`.

use super::json::TokenizerJson;
use super::tokens::{Kind, Tokens};
use super::vocabulary::Vocabulary;
use super::{json, pre};
use crate::Value;
use crate::error::{GgufError, Result};

pub(super) fn vocabulary(
    json: &TokenizerJson,
    vocab_size: usize,
    pre: Option<&str>,
) -> Result<Vocabulary> {
    let pre = match pre {
        Some(pre) => pre.to_string(),
        None => pre::detect(json)?.to_string(),
    };
    if json.merges.is_empty() {
        return Err(GgufError::tokenizer(&json.path, "`model.merges` is empty"));
    }
    let mut tokens = Tokens::unused(vocab_size);
    for (text, id) in &json.vocab {
        tokens.set(*id, text, Kind::Normal, 0.0);
    }
    tokens.set_added(&json.added);
    let (mut metadata, note) = tokens.metadata(&json.path, false)?;
    let merges = json.merges.iter().map(|[left, right]| format!("{left} {right}"));
    metadata.insert(0, ("tokenizer.ggml.pre".into(), Value::Text(pre)));
    metadata.push(("tokenizer.ggml.merges".into(), Value::texts(merges)));
    let mut notes: Vec<String> = note.into_iter().collect();
    // Nearly all text is in Unicode's composed form (NFC); llama.cpp does not normalise.
    let other = json.normalizers.iter().map(json::kind).find(|kind| *kind != "NFC");
    if let Some(other) = other {
        notes.push(format!("llama.cpp does not normalise text by {other}, as tokenizer.json does"));
    }
    let strips_spaces = json.added.iter().any(|added| added.strips_spaces);
    Ok(Vocabulary { metadata, notes, strips_spaces })
}
