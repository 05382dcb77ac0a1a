//! SentencePiece's BPE, which llama.cpp calls `llama`.
//!
//! It merges the two neighbours whose union has the highest score. Scores are those of
//! `tokenizer.model`; without that file they follow the ranks of the merges in `tokenizer.json`, so
//! that the order of merges is the same.

use std::collections::HashMap;
use std::path::Path;

use super::json::{TokenizerJson, added_elsewhere, kind, text};
use super::pieces::Piece;
use super::tokens::{Kind, Tokens};
use super::vocabulary::Vocabulary;
use crate::Value;
use crate::error::Result;

pub(super) fn vocabulary(
    directory: &Path,
    json: Option<&TokenizerJson>,
    pieces: &[Piece],
    vocab_size: usize,
) -> Result<Vocabulary> {
    let mut tokens = Tokens::unused(vocab_size);
    for (id, piece) in pieces.iter().enumerate() {
        tokens.set(id, &piece.text, piece.kind, piece.score);
    }
    let mut notes = Vec::new();
    let added = match json {
        Some(json) => {
            if pieces.is_empty() {
                ranked(json, &mut tokens);
            }
            notes.extend(strange_steps(json));
            notes.extend(spared_spaces(json));
            json.added.clone()
        }
        None => added_elsewhere(directory)?,
    };
    tokens.set_added(&added);
    if !tokens.any(Kind::Byte) {
        notes.push(
            "the tokenizer has no tokens for bytes: llama.cpp cannot tokenise characters that are \
             not tokens"
                .into(),
        );
    }
    let (mut metadata, note) = tokens.metadata(directory, true)?;
    metadata.insert(0, ("tokenizer.ggml.pre".into(), Value::Text("default".into())));
    let prefix = json.is_none_or(adds_space);
    metadata.push(("tokenizer.ggml.add_space_prefix".into(), Value::Bool(prefix)));
    notes.extend(note);
    let strips_spaces = added.iter().any(|added| added.strips_spaces);
    Ok(Vocabulary { metadata, notes, strips_spaces })
}

/// Sets the tokens of a `tokenizer.json`, with scores that give the order of its merges.
fn ranked(json: &TokenizerJson, tokens: &mut Tokens) {
    let mut ranks: HashMap<String, usize> = HashMap::new();
    for (rank, pair) in json.merges.iter().enumerate() {
        ranks.entry(pair.concat()).or_insert(rank);
    }
    for (text, id) in &json.vocab {
        let is_byte = json.byte_fallback && is_byte(text);
        let (kind, score) = match ranks.get(text) {
            _ if is_byte => (Kind::Byte, 0.0),
            _ if json.unknown.as_ref() == Some(text) => (Kind::Unknown, 0.0),
            Some(rank) => (Kind::Normal, -(*rank as f32)),
            None => (Kind::Normal, -(json.merges.len() as f32)),
        };
        tokens.set(*id, text, kind, score);
    }
}

/// Whether `text` names a byte, such as `<0x0A>`.
fn is_byte(text: &str) -> bool {
    let digits = text.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>'));
    digits.is_some_and(|digits| digits.len() == 2 && u8::from_str_radix(digits, 16).is_ok())
}

/// Whether the tokenizer puts a space before a text.
fn adds_space(json: &TokenizerJson) -> bool {
    let prepends = json.normalizers.iter().any(|step| kind(step) == "Prepend");
    let metaspace = json.pre_tokenizers.iter().any(|step| {
        let scheme = text(step, "prepend_scheme");
        let prefix = step.get("add_prefix_space").and_then(serde_json::Value::as_bool);
        kind(step) == "Metaspace"
            && scheme.map_or(prefix.unwrap_or(true), |scheme| scheme != "never")
    });
    prepends || metaspace
}

/// The note that llama.cpp puts a space before some texts where a Metaspace step puts none.
fn spared_spaces(json: &TokenizerJson) -> Option<String> {
    let step = json.pre_tokenizers.iter().find(|step| kind(step) == "Metaspace")?;
    let follows = match text(step, "prepend_scheme") {
        Some("first") => " or follows a special token",
        _ => "",
    };
    adds_space(json).then(|| {
        format!(
            "llama.cpp puts a space before a text that begins with one{follows}, and \
             tokenizer.json does not"
        )
    })
}

/// The note about the first step that changes text and that llama.cpp does not have.
fn strange_steps(json: &TokenizerJson) -> Option<String> {
    let normalizer = json.normalizers.iter().map(kind).find(|kind| {
        // `Precompiled` is SentencePiece's own table, which is empty in BPE models of this kind.
        !["Prepend", "Replace", "Precompiled"].contains(kind)
    });
    let step = normalizer
        .or_else(|| json.pre_tokenizers.iter().map(kind).find(|kind| *kind != "Metaspace"))?;
    Some(format!("llama.cpp does not apply the step {step} of tokenizer.json to text"))
}
