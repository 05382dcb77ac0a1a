//! [`Vocabulary`]: the tokenizer of a checkpoint directory as metadata.
//!
//! llama.cpp runs two kinds that decoders have: byte-level BPE (`gpt2`: tokens and merges, and by name the
//! rule that cuts text into words) and SentencePiece's BPE (`llama`: tokens and scores). What a
//! `tokenizer.json` does beyond these is said in a note, or is an error where it cannot be left out.

mod byte_level;
mod json;
pub(crate) mod named;
mod pieces;
mod pre;
mod sentence_piece;
mod special;
mod tokens;

use std::path::Path;

use crate::error::{GgufError, Result};
use crate::{Metadata, Value};
use json::TokenizerJson;

pub use pre::PRE_TOKENIZERS;

/// A tokenizer, as metadata.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Vocabulary {
    pub(crate) metadata: Metadata,
    pub(crate) notes: Vec<String>,
    /// Whether blanks behind some tokens are no text.
    pub(crate) swallows_blanks: bool,
}

impl Vocabulary {
    /// Reads the tokenizer of `directory`, for a model of `vocab_size` token ids. `pre` names the
    /// pre-tokenizer where `tokenizer.json` does not say one that is known.
    ///
    /// Without `tokenizer.json` and `tokenizer.model` the file holds none: it takes token ids only.
    ///
    /// # Errors
    ///
    /// If a file cannot be read or understood, or llama.cpp has no such tokenizer.
    pub fn read(directory: &Path, vocab_size: usize, pre: Option<&str>) -> Result<Self> {
        let json = TokenizerJson::read(directory)?;
        let is_byte_level = json.as_ref().is_some_and(TokenizerJson::is_byte_level);
        // Beside a byte-level tokenizer it may be anything.
        let pieces = if is_byte_level { None } else { pieces::read(directory)? };
        let (kind, mut vocabulary) = match (json, pieces) {
            (None, None) => return Ok(Self::none(vocab_size)),
            (Some(json), _) if is_byte_level => {
                let vocabulary = byte_level::vocabulary(&json, vocab_size, pre)?;
                ("gpt2", special::complete(directory, vocabulary, Some(&json), &[])?)
            }
            (json, pieces) => {
                if pre.is_some() {
                    let reason = "this tokenizer has no pre-tokenizer to be named";
                    return Err(GgufError::tokenizer(directory, reason));
                }
                let pieces = pieces.unwrap_or_default();
                let json = json.as_ref();
                let vocabulary = sentence_piece::vocabulary(directory, json, &pieces, vocab_size)?;
                ("llama", special::complete(directory, vocabulary, json, &pieces)?)
            }
        };
        let model = ("tokenizer.ggml.model".to_string(), Value::Text(kind.into()));
        vocabulary.metadata.insert(0, model);
        Ok(vocabulary)
    }

    fn none(vocab_size: usize) -> Self {
        let model = ("tokenizer.ggml.model".to_string(), Value::Text("none".into()));
        let note = format!(
            "no tokenizer.json or tokenizer.model beside the model: the file takes token ids only, 0 to {}",
            vocab_size - 1
        );
        Self { metadata: vec![model], notes: vec![note], swallows_blanks: false }
    }
}
