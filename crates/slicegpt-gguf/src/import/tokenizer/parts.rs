//! [`Parts`]: what the kinds of tokenizers give.

use serde_json::Value;

use crate::error::GgufError;
use crate::file::GgufFile;

/// The parts of `tokenizer.json` in which the kinds differ.
pub(super) struct Parts {
    pub normalizer: Value,
    pub pre_tokenizer: Value,
    pub decoder: Value,
    pub model: Value,
    /// Whether texts begin with BOS if the file does not say.
    pub begins: bool,
    /// Whether special tokens consume the spaces after them.
    pub strips_spaces: bool,
}

/// An error about the tokenizer of `file`.
pub(super) fn wrong(file: &GgufFile, reason: &str) -> GgufError {
    file.wrong(format!("its tokenizer: {reason}; the file is damaged"))
}
