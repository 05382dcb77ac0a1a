//! [`OutputError`]: why an output could not be written or put in its place.

use std::io;
use std::path::PathBuf;

use crate::Dtype;

pub(super) type Result<T> = std::result::Result<T, OutputError>;

/// Why an output could not be written or put in its place.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the fields are named for what they hold and appear in the message
pub enum OutputError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error(
        "tensor `{name}` does not fit {dtype}: {value:e} is out of its range{}",
        explanation(*dtype)
    )]
    Overflow { name: String, dtype: Dtype, value: f32 },
    #[error(
        "{}: cannot be written to ({source}); the folder above the output {} must be writable, or \
         the output be an empty directory that is",
        parent.display(),
        out.display()
    )]
    Parent { parent: PathBuf, out: PathBuf, source: io::Error },
    #[error("{}: exists and is not empty", .0.display())]
    Exists(PathBuf),
    #[error("{}: exists and is not a directory", .0.display())]
    IsFile(PathBuf),
    #[error("{}: is inside the directory of a model; choose another place", .0.display())]
    InsideModel(PathBuf),
    #[error("{}: is a directory; name a file", .0.display())]
    IsDirectory(PathBuf),
    #[error("{}: not replaced, because slicegpt did not write it ({})", .0.display(), .1)]
    IsForeign(PathBuf, String),
    #[error(
        "{}: cannot be put in place: {reason}; the output is complete in {}, move it from there",
        path.display(),
        kept.display()
    )]
    NotRenamed { path: PathBuf, kept: PathBuf, reason: String },
    #[error("{}: exists and is not a regular file; choose another path", .0.display())]
    IsNoFile(PathBuf),
    #[error("{}: the output must not be the input, nor be inside it, nor contain it", .0.display())]
    IsInput(PathBuf),
}

/// bfloat16 has the range of float32, so that no other type helps.
fn explanation(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::F16 => "",
        Dtype::Bf16 | Dtype::F32 => "; the checkpoint's weights are too large to be combined",
    }
}

impl OutputError {
    /// Wraps an IO error with the file it happened to.
    pub(super) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}
