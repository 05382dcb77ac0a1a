//! [`GgufError`]: why a model cannot become a GGUF file.

use std::io;
use std::path::PathBuf;

/// What is wrong, and what would work.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the fields are named for what they hold, and stand in the message
pub enum GgufError {
    #[error("llama.cpp cannot express this model: {reason}; {advice}")]
    Inexpressible { reason: String, advice: &'static str },
    #[error("{reason}")]
    Unsupported { reason: String },
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{}: {reason}", path.display())]
    Tokenizer { path: PathBuf, reason: String },
    #[error(
        "tensor `{name}` does not fit {ty}: {value:e} is out of its range; use --type bf16 or \
         --type f32"
    )]
    Overflow { name: String, ty: &'static str, value: f32 },
}

pub(crate) type Result<T> = std::result::Result<T, GgufError>;

impl GgufError {
    /// Wraps an IO error with the file it happened to.
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }

    /// Something wrong with a file of the tokenizer.
    pub(crate) fn tokenizer(path: impl Into<PathBuf>, reason: impl Into<String>) -> Self {
        Self::Tokenizer { path: path.into(), reason: reason.into() }
    }
}
