//! [`Tokens`]: texts, types and scores by token id.

use std::collections::HashMap;
use std::path::Path;

use super::json::Added;
use crate::error::{GgufError, Result};
use crate::{Metadata, Value};

/// What a token is for. The numbers are the format's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Normal = 1,
    Unknown = 2,
    /// Never text.
    Control = 3,
    /// Found in text before it is cut up.
    UserDefined = 4,
    Unused = 5,
    Byte = 6,
}

/// The score of tokens that are not merged.
const APART: f32 = -1000.0;

/// Every token id of a model.
pub(super) struct Tokens {
    texts: Vec<String>,
    kinds: Vec<Kind>,
    scores: Vec<f32>,
    /// Token ids that the model does not have.
    beyond: usize,
}

impl Tokens {
    /// As many unused ones as the model has ids.
    pub fn unused(vocab_size: usize) -> Self {
        Self {
            texts: (0..vocab_size).map(|id| format!("[PAD{id}]")).collect(),
            kinds: vec![Kind::Unused; vocab_size],
            scores: vec![-10000.0; vocab_size],
            beyond: 0,
        }
    }

    /// Says what token `id` is.
    pub fn set(&mut self, id: usize, text: &str, kind: Kind, score: f32) {
        if id >= self.texts.len() {
            self.beyond += 1;
            return;
        }
        self.texts[id] = text.into();
        self.kinds[id] = kind;
        self.scores[id] = score;
    }

    /// Added tokens: special ones, and those that look so, never stand for text.
    pub fn set_added(&mut self, added: &[Added]) {
        for Added { id, content, special, .. } in added {
            if self.kinds.get(*id) == Some(&Kind::Unknown) {
                continue;
            }
            match *special || looks_special(content) {
                true => self.set(*id, content, Kind::Control, APART),
                // llama.cpp looks for these in the text as it was given.
                false => self.set(*id, &content.replace('\u{2581}', " "), Kind::UserDefined, APART),
            }
        }
    }

    /// Whether there is a token of that kind.
    pub fn any(&self, kind: Kind) -> bool {
        self.kinds.contains(&kind)
    }

    /// Texts, scores where `scored`, and types.
    ///
    /// # Errors
    ///
    /// If two tokens have the same text, which llama.cpp does not survive.
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
            format!("{beyond} tokens of the tokenizer have ids that the model has not: left out")
        });
        Ok((metadata, note))
    }
}

/// Some models do not mark tokens as special that are; llama.cpp's converter tells them so too.
fn looks_special(text: &str) -> bool {
    ["<pad>", "<mask>", "<2mass>", "[@BOS@]"].contains(&text)
        || (text.starts_with("<|") && text.ends_with("|>"))
        || (text.starts_with("<\u{ff5c}") && text.ends_with("\u{ff5c}>"))
        || (text.starts_with("<unused") && text.ends_with('>'))
}
