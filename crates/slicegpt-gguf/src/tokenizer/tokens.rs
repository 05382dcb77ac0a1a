//! [`Tokens`]: the text, type and score of every token id.

use std::collections::HashMap;
use std::path::Path;

use super::json::Added;
use crate::error::{GgufError, Result};
use crate::{Metadata, Value};

/// The type of a token, with the format's number for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Normal = 1,
    Unknown = 2,
    /// Never part of a text.
    Control = 3,
    /// Matched in the text before it is split.
    UserDefined = 4,
    Unused = 5,
    Byte = 6,
}

/// The score of tokens that are never the result of a merge.
const NEVER_MERGED: f32 = -1000.0;

/// Every token id of a model.
pub(super) struct Tokens {
    texts: Vec<String>,
    kinds: Vec<Kind>,
    scores: Vec<f32>,
    /// Number of tokens whose ids the model does not have.
    beyond: usize,
}

impl Tokens {
    /// Unused tokens for all ids of the model.
    pub fn unused(vocab_size: usize) -> Self {
        Self {
            texts: (0..vocab_size).map(|id| format!("[PAD{id}]")).collect(),
            kinds: vec![Kind::Unused; vocab_size],
            scores: vec![-10000.0; vocab_size],
            beyond: 0,
        }
    }

    /// Sets token `id`.
    pub fn set(&mut self, id: usize, text: &str, kind: Kind, score: f32) {
        if id >= self.texts.len() {
            self.beyond += 1;
            return;
        }
        self.texts[id] = text.into();
        self.kinds[id] = kind;
        self.scores[id] = score;
    }

    /// Sets added tokens. Special ones, and those that look special, become control tokens.
    pub fn set_added(&mut self, added: &[Added]) {
        for Added { id, content, special, .. } in added {
            if self.kinds.get(*id) == Some(&Kind::Unknown) {
                continue;
            }
            if *special || looks_special(content) {
                self.set(*id, content, Kind::Control, NEVER_MERGED);
            } else {
                // llama.cpp looks for these in the text as it was given.
                let text = content.replace('\u{2581}', " ");
                self.set(*id, &text, Kind::UserDefined, NEVER_MERGED);
            }
        }
    }

    /// Whether there is a token of this kind.
    pub fn any(&self, kind: Kind) -> bool {
        self.kinds.contains(&kind)
    }

    /// The metadata (texts, types and, if `scored`, scores), and a note about ids out of range.
    ///
    /// # Errors
    ///
    /// If two tokens have the same text, because llama.cpp aborts on such a file.
    pub fn metadata(self, path: &Path, scored: bool) -> Result<(Metadata, Option<String>)> {
        let mut seen = HashMap::new();
        for (id, text) in self.texts.iter().enumerate() {
            if let Some(other) = seen.insert(text.as_str(), id) {
                let reason = format!("tokens {other} and {id} are both {text:?}");
                return Err(GgufError::tokenizer(path, reason));
            }
        }
        let key = |key: &str| format!("tokenizer.ggml.{key}");
        let mut metadata = vec![(key("tokens"), Value::texts(&self.texts))];
        if scored {
            metadata.push((key("scores"), Value::F32s(self.scores)));
        }
        let kinds = self.kinds.iter().map(|kind| *kind as i32).collect();
        metadata.push((key("token_type"), Value::I32s(kinds)));
        let beyond = self.beyond;
        let note = (beyond > 0).then(|| {
            format!(
                "{beyond} tokens of the tokenizer have ids that the model does not have: left out"
            )
        });
        Ok((metadata, note))
    }
}

/// Whether a token that is not marked as special is recognised by its text, as in llama.cpp's
/// converter.
fn looks_special(text: &str) -> bool {
    ["<pad>", "<mask>", "<2mass>", "[@BOS@]"].contains(&text)
        || (text.starts_with("<|") && text.ends_with("|>"))
        || (text.starts_with("<\u{ff5c}") && text.ends_with("\u{ff5c}>"))
        || (text.starts_with("<unused") && text.ends_with('>'))
}
