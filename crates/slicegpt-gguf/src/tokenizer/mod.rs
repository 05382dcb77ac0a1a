//! [`Vocabulary::read`]: the tokenizer of a checkpoint directory as metadata.
//!
//! llama.cpp runs two kinds of tokenizers that decoders have: byte-level BPE (`gpt2`: tokens,
//! merges and the name of the rule that splits text into words) and SentencePiece's BPE (`llama`:
//! tokens and scores). Other steps of a `tokenizer.json` give a note, or an error where they cannot
//! be left out.

mod byte_level;
mod json;
pub(crate) mod named;
mod pieces;
pub(crate) mod pre;
mod sentence_piece;
mod special;
mod tokens;
mod vocabulary;

use std::path::Path;

use crate::Value;
use crate::error::{GgufError, Result};
use json::TokenizerJson;

pub use pre::PRE_TOKENIZERS;
pub use vocabulary::Vocabulary;

impl Vocabulary {
    /// Reads the tokenizer of `directory`, for a model of `vocab_size` token ids. `pre` is one of
    /// [`PRE_TOKENIZERS`], for a `tokenizer.json` whose pre-tokenizer is not known.
    ///
    /// Without `tokenizer.json` and `tokenizer.model` the GGUF file has no tokenizer, and its model
    /// takes token ids only.
    ///
    /// # Errors
    ///
    /// If a file cannot be read or parsed, or llama.cpp has no such tokenizer.
    pub fn read(directory: &Path, vocab_size: usize, pre: Option<&str>) -> Result<Self> {
        let json = TokenizerJson::read(directory)?;
        let is_byte_level = json.as_ref().is_some_and(TokenizerJson::is_byte_level);
        // With a byte-level tokenizer, `tokenizer.model` may be anything.
        let pieces = if is_byte_level { None } else { pieces::read(directory)? };
        let (kind, mut vocabulary) = match (json, pieces) {
            (None, None) if directory.join("merges.txt").exists() => {
                let reason = format!(
                    "the tokenizer is in vocab.json and merges.txt; make a tokenizer.json with \
                     transformers: AutoTokenizer.from_pretrained('{0}').save_pretrained('{0}')",
                    directory.display()
                );
                return Err(GgufError::tokenizer(directory, &reason));
            }
            (None, None) => return Ok(Self::none(vocab_size)),
            (Some(json), _) if is_byte_level => {
                let vocabulary = byte_level::vocabulary(&json, vocab_size, pre)?;
                ("gpt2", special::complete(directory, vocabulary, Some(&json), &[])?)
            }
            (json, pieces) => {
                if pre.is_some() {
                    let reason = "a pre-tokenizer was named, and this tokenizer has none";
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
            "no tokenizer.json or tokenizer.model in the directory of the model: the file takes \
             token ids only, 0 to {}",
            vocab_size - 1
        );
        Self { metadata: vec![model], notes: vec![note], strips_spaces: false }
    }
}
