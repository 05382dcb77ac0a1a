//! [`Refusal`]: why a pickle is not given to the reader of tensors.

use std::io;

/// Why a pickle is not given to the reader of tensors.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It names something that weights do not need, and that Python would call.
    Names(String),
    /// It is of a kind that PyTorch does not write, or costs too much to read.
    Unusual(String),
    /// It is truncated, or not a pickle.
    Corrupt(String),
}

pub(super) type Result<T> = std::result::Result<T, Refusal>;

impl Refusal {
    /// Data that is not a pickle, or ends too early.
    pub fn corrupt(reason: &str) -> Self {
        Self::Corrupt(reason.into())
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::corrupt("it ends within its pickle"),
            _ => Self::Corrupt(error.to_string()),
        }
    }
}
