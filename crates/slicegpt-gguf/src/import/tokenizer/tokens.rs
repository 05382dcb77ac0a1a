//! [`Tokens`]: texts, kinds and scores of the tokens of a file.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::parts::wrong;
use crate::error::Result;
use crate::file::GgufFile;

/// What a token is for, by the format's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Normal,
    Unknown,
    Control,
    UserDefined,
    /// An id without a token.
    Unused,
    Byte,
}

impl Kind {
    fn by_number(number: i32) -> Option<Self> {
        match number {
            1 => Some(Self::Normal),
            2 => Some(Self::Unknown),
            3 => Some(Self::Control),
            4 => Some(Self::UserDefined),
            5 => Some(Self::Unused),
            6 => Some(Self::Byte),
            _ => None,
        }
    }
}

/// The tokens of a file, by id.
pub(super) struct Tokens<'a> {
    texts: Vec<&'a str>,
    kinds: Vec<Kind>,
    /// Ids by text, of tokens that are used.
    ids: HashMap<&'a str, usize>,
}

impl<'a> Tokens<'a> {
    /// Reads texts and kinds.
    pub fn read(file: &'a GgufFile, vocab_size: usize) -> Result<Self> {
        let Some(texts) = file.texts("tokenizer.ggml.tokens")? else {
            return Err(wrong(file, "`tokenizer.ggml.tokens` is missing"));
        };
        if texts.len() > vocab_size {
            let reason = format!("{} tokens, and the model has {vocab_size} ids", texts.len());
            return Err(wrong(file, &reason));
        }
        let kinds = match file.integers("tokenizer.ggml.token_type")? {
            None => vec![Kind::Normal; texts.len()],
            Some(numbers) if numbers.len() != texts.len() => {
                let reason = format!("{} types for {} tokens", numbers.len(), texts.len());
                return Err(wrong(file, &reason));
            }
            Some(numbers) => {
                let kinds = numbers.into_iter().map(Kind::by_number).collect::<Option<Vec<_>>>();
                kinds
                    .ok_or_else(|| wrong(file, "a type of a token that the format does not have"))?
            }
        };
        let mut ids = HashMap::with_capacity(texts.len());
        for (id, text) in texts.iter().enumerate().filter(|(id, _)| kinds[*id] != Kind::Unused) {
            if let Some(other) = ids.insert(*text, id) {
                return Err(wrong(file, &format!("tokens {other} and {id} are both {text:?}")));
            }
        }
        Ok(Self { texts, kinds, ids })
    }

    /// The text of token `id`, if it is used.
    pub fn text(&self, id: usize) -> Option<&'a str> {
        self.kinds.get(id).filter(|kind| **kind != Kind::Unused).map(|_| self.texts[id])
    }

    pub fn kind(&self, id: usize) -> Kind {
        self.kinds[id]
    }

    /// The id of a token.
    pub fn id(&self, text: &str) -> Option<usize> {
        self.ids.get(text).copied()
    }

    /// The number of ids.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Ids and texts of the tokens that are used.
    pub fn used(&self) -> impl Iterator<Item = (usize, &'a str)> {
        (0..self.len()).filter_map(|id| Some((id, self.text(id)?)))
    }

    /// The first token of a kind.
    pub fn first(&self, kind: Kind) -> Option<&'a str> {
        self.used().find(|(id, _)| self.kind(*id) == kind).map(|(_, text)| text)
    }

    /// Ids by text, as in `tokenizer.json`. It holds special tokens too, so that ids never depend
    /// on an order.
    pub fn vocab(&self) -> Map<String, Value> {
        self.used().map(|(id, text)| (text.to_string(), Value::from(id))).collect()
    }

    /// The tokens that are found in a text before it is split.
    pub fn added(&self, strips_spaces: bool) -> Vec<Value> {
        // llama.cpp excepts these.
        const KEEPS_SPACES: [&str; 3] = ["<unk>", "<s>", "<|endoftext|>"];
        let token = |(id, text): (usize, &str)| {
            let kind = self.kind(id);
            let special = matches!(kind, Kind::Control | Kind::Unknown);
            (special || kind == Kind::UserDefined).then(|| {
                json!({
                    "id": id,
                    "content": text,
                    "single_word": false,
                    "lstrip": false,
                    "rstrip": strips_spaces && !KEEPS_SPACES.contains(&text),
                    "normalized": false,
                    "special": special,
                })
            })
        };
        self.used().filter_map(token).collect()
    }
}
