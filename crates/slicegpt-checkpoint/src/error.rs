//! [`CheckpointError`]: why a checkpoint, a file or a tensor cannot be read.

use std::io;
use std::path::PathBuf;

use crate::Dtype;

pub(crate) type Result<T> = std::result::Result<T, CheckpointError>;

/// Why a checkpoint cannot be read.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the fields are named for what they hold and appear in the message
pub enum CheckpointError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error(
        "{}: no such directory; give a Hugging Face checkpoint directory, or a GGUF file",
        .0.display()
    )]
    NoDirectory(PathBuf),
    #[error(
        "{}: config.json is missing; is this a Hugging Face checkpoint directory?",
        .0.display()
    )]
    NoConfig(PathBuf),
    #[error(
        "{}: config.json is missing, because the program was killed while it replaced this \
         output; write to the same output again, which first restores what was there",
        .0.display()
    )]
    Interrupted(PathBuf),
    #[error("{}: {reason}", path.display())]
    Json { path: PathBuf, reason: String },
    #[error(
        "{}: no weights found (looked for model.safetensors, model.safetensors.index.json, \
         pytorch_model.bin, pytorch_model.bin.index.json)",
        .0.display()
    )]
    NoWeights(PathBuf),
    #[error(
        "{}: is an adapter (PEFT) and not a model: merge it into its base model{} first",
        directory.display(),
        base.as_ref().map(|base| format!(", {base},")).unwrap_or_default()
    )]
    Adapter { directory: PathBuf, base: Option<String> },
    #[error(
        "{}: is a Git LFS pointer, not the weights: the files were cloned without them; run \
         `git lfs pull` in that directory, or download the file",
        .0.display()
    )]
    LfsPointer(PathBuf),
    #[error("{}: names shard {shard}, which is missing; download it", index.display())]
    MissingShard { index: PathBuf, shard: String },
    #[error("{}: {reason}; the file is truncated or corrupt, download it again", path.display())]
    Corrupt { path: PathBuf, reason: String },
    #[error(
        "{}: would run {name} when it is loaded in Python, which no file of weights needs; nothing \
         was run, the file is refused: get it from a source you trust",
        path.display()
    )]
    Program { path: PathBuf, name: String },
    #[error(
        "{}: {reason}; PyTorch writes no such file of weights, and it is refused: get it from a \
         source you trust",
        path.display()
    )]
    Unusual { path: PathBuf, reason: String },
    #[error("{}: tensor `{name}` is missing", path.display())]
    MissingTensor { path: PathBuf, name: String },
    #[error(
        "{}: tensor `{name}` has shape {found:?}, but config.json says {expected:?}",
        path.display()
    )]
    Shape { path: PathBuf, name: String, found: Vec<usize>, expected: Vec<usize> },
    #[error(
        "{}: tensor `{name}` is {found}; float32, float16 and bfloat16 are supported",
        path.display()
    )]
    Type { path: PathBuf, name: String, found: String },
    #[error(
        "{}: tensor `{name}` holds a NaN or an infinity; the checkpoint is damaged",
        path.display()
    )]
    NotFinite { path: PathBuf, name: String },
    #[error("{}: {reason}", path.display())]
    Reference { path: PathBuf, reason: String },
    #[error("{}: the slicegpt section: {reason}", path.display())]
    Manifest { path: PathBuf, reason: String },
    #[error("{}: {reason}", path.display())]
    Record { path: PathBuf, reason: String },
    #[error("tensor `{name}` does not fit {dtype}: {value:e} is out of its range")]
    Overflow { name: String, dtype: Dtype, value: f32 },
    /// An error of a source that this crate does not know.
    #[error(transparent)]
    Foreign(Box<dyn std::error::Error + Send + Sync>),
}

impl CheckpointError {
    /// Wraps an IO error with the file it happened to.
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}
