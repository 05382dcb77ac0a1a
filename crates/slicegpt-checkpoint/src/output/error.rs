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
    #[error("tensor `{name}` does not fit {dtype}: {value:e} is out of its range{}", advice(*dtype))]
    Overflow { name: String, dtype: Dtype, value: f32 },
    #[error(
        "{}: exists and is not empty; choose another --out, or pass --force to replace it",
        .0.display()
    )]
    Exists(PathBuf),
    #[error("{}: exists and is not a directory; choose another --out", .0.display())]
    IsFile(PathBuf),
    #[error("{}: lies in the directory of a model; choose another place", .0.display())]
    InsideModel(PathBuf),
    #[error("{}: is a directory; name a file", .0.display())]
    IsDirectory(PathBuf),
    #[error(
        "{}: not replaced, because it is no checkpoint of ours ({}); --force replaces those only, \
         choose another --out",
        .0.display(),
        .1
    )]
    IsForeign(PathBuf, String),
    #[error(
        "{}: cannot be put in place: {reason}; the output is complete in {}, move it from there",
        path.display(),
        kept.display()
    )]
    NotRenamed { path: PathBuf, kept: PathBuf, reason: String },
    #[error("{}: is there and is no file; a file is written, choose another path", .0.display())]
    IsNoFile(PathBuf),
    #[error(
        "{}: the output may not be the input, or lie inside it, or hold it; choose another --out",
        .0.display()
    )]
    IsInput(PathBuf),
}

/// bfloat16 has the range of float32: what does not fit one does not fit the other.
fn advice(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::F16 => "; use --dtype bf16 or --dtype f32",
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
