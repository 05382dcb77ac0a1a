//! [`AdapterError`]: why an adapter cannot be read, merged or written.

use std::io;
use std::path::PathBuf;

use slicegpt_checkpoint::{CheckpointError, OutputError};

pub(crate) type Result<T> = std::result::Result<T, AdapterError>;

/// Why an adapter cannot be read, merged or written.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the fields are named for what they hold and appear in the message
pub enum AdapterError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{}: no such directory; give the directory of an adapter (PEFT)", .0.display())]
    NoDirectory(PathBuf),
    #[error(
        "{}: adapter_config.json is missing; is this the directory of an adapter (PEFT)?",
        .0.display()
    )]
    NoConfig(PathBuf),
    #[error(
        "{}: no weights found (looked for adapter_model.safetensors, adapter_model.bin)",
        .0.display()
    )]
    NoWeights(PathBuf),
    #[error("{}: {reason}", path.display())]
    Config { path: PathBuf, reason: String },
    /// A key that changes the function and is not implemented.
    #[error("{}: `{key}` is {value}: {reason}", path.display())]
    Unsupported { path: PathBuf, key: String, value: String, reason: String },
    #[error("{}: tensor `{name}` {reason}", path.display())]
    Tensor { path: PathBuf, name: String, reason: String },
    /// The model lacks a tensor that the adapter changes.
    #[error(
        "{}: changes tensor `{name}` of shape {shape:?}, which {model} does not have; the adapter \
         was made for another model{}: give the model that it was trained on",
        path.display(),
        of(base)
    )]
    Absent { path: PathBuf, name: String, shape: Vec<usize>, model: String, base: Option<String> },
    /// A tensor of the model has another shape.
    #[error(
        "{}: changes tensor `{name}` of shape {shape:?}, but in {model} it has shape {expected:?}; \
         the adapter was made for another model{}: give the model that it was trained on",
        path.display(),
        of(base)
    )]
    Shape {
        path: PathBuf,
        name: String,
        shape: Vec<usize>,
        model: String,
        expected: Vec<usize>,
        base: Option<String>,
    },
    /// The embedding or the head of the model has another number of rows.
    #[error(
        "{}: tensor `{name}` is for a vocabulary of {found} tokens, but {model} has {expected}; \
         give the model that the adapter was trained on, with the tokens that were added to it",
        path.display()
    )]
    Vocabulary { path: PathBuf, name: String, found: usize, model: String, expected: usize },
    /// The config selects modules of the model that have no matrices.
    #[error(
        "{}: the config selects `{module}`, which {model} has, but there are no matrices for it; \
         the file is incomplete, or the adapter was made for another model{}",
        path.display(),
        of(base)
    )]
    Incomplete { path: PathBuf, module: String, model: String, base: Option<String> },
    /// Matrices that the config does not select.
    #[error(
        "{}: has matrices for `{module}`, which the config does not select, so that PEFT would \
         leave them out; correct `target_modules` in adapter_config.json",
        path.display()
    )]
    Unselected { path: PathBuf, module: String },
    /// The config selects nothing.
    #[error(
        "{}: `target_modules` ({targets}) selects no module of {model}; the adapter was made for \
         another model{}: give the model that it was trained on",
        path.display(),
        of(base)
    )]
    NothingSelected { path: PathBuf, targets: String, model: String, base: Option<String> },
    /// Matrices that do not belong together, in memory.
    #[error("module `{module}`: {reason}")]
    Factors { module: String, reason: String },
    #[error("tensor `{name}`: the sum of weight and adapter is not finite")]
    Overflow { name: String },
    /// The file of weights cannot be read.
    #[error(transparent)]
    Weights(#[from] CheckpointError),
    /// The output cannot be written.
    #[error(transparent)]
    Output(#[from] OutputError),
}

/// What the config says about the model, in parentheses.
fn of(base: &Option<String>) -> String {
    base.as_ref().map(|base| format!(" ({base}, says its config)")).unwrap_or_default()
}

impl AdapterError {
    /// Wraps an IO error with the file it happened to.
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}
