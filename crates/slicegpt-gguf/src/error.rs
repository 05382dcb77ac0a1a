//! [`GgufError`] and [`ExportError`]: why a model cannot become a GGUF file, or a GGUF file a
//! model.

use std::io;
use std::path::PathBuf;

/// Why a model cannot become a GGUF file, or a GGUF file a model.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the fields are named for what they hold and appear in the message
pub enum GgufError {
    /// llama.cpp has no architecture for the model.
    #[error("llama.cpp cannot express this model: {reason}")]
    Inexpressible { reason: String, cause: Cause },
    /// No file is written for such models.
    #[error("{reason}")]
    Unsupported { reason: String },
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    /// A file of the tokenizer cannot be read, or llama.cpp has no such tokenizer.
    #[error("{}: {reason}", path.display())]
    Tokenizer { path: PathBuf, reason: String },
    /// The rule that splits text into words has no name here. llama.cpp may have one.
    #[error("{}: its pre-tokenizer is not known ({found})", path.display())]
    PreTokenizer { path: PathBuf, found: String },
    /// A GGUF file that is read is damaged, or holds what is not read.
    #[error("{}: {reason}", path.display())]
    File { path: PathBuf, reason: String },
    /// A name of a pre-tokenizer whose rule is not known here.
    #[error("{}: its pre-tokenizer `{found}` is not known; known are {known}", path.display())]
    PreTokenizerName { path: PathBuf, found: String, known: String },
    #[error("tensor `{name}` does not fit {ty}: {value:e} is out of its range")]
    Overflow { name: String, ty: &'static str, value: f32 },
}

/// Where the cause of [`GgufError::Inexpressible`] lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// In the way the model was sliced: another way may give one that fits.
    Slicing,
    /// In the model itself.
    Model,
}

/// Why a file could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError<E: std::error::Error + 'static> {
    /// A tensor of the model cannot be read.
    #[error(transparent)]
    Source(E),
    /// The file cannot be written, or a value does not fit.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// The caller asked to stop.
    #[error("interrupted")]
    Interrupted,
}

pub(crate) type Result<T> = std::result::Result<T, GgufError>;

impl GgufError {
    /// Wraps an IO error with the file it happened to.
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }

    /// An error about a GGUF file that is read.
    pub(crate) fn file(path: impl Into<PathBuf>, reason: impl Into<String>) -> Self {
        Self::File { path: path.into(), reason: reason.into() }
    }

    /// An error in a file of the tokenizer.
    pub(crate) fn tokenizer(path: impl Into<PathBuf>, reason: impl Into<String>) -> Self {
        Self::Tokenizer { path: path.into(), reason: reason.into() }
    }
}
