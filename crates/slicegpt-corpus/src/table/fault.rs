//! [`Fault`]: what is wrong with a table.

use std::io;

/// What is wrong with a table.
#[derive(Debug)]
pub(super) enum Fault {
    /// It is damaged.
    Damaged(String),
    /// It uses something that is not read.
    Unsupported(String),
    /// It becomes more than it may.
    Costly(String),
    Io(io::Error),
}

/// A result whose error is a [`Fault`].
pub(super) type Result<T> = std::result::Result<T, Fault>;

/// A [`Fault::Damaged`].
pub(super) fn damaged<T>(reason: impl Into<String>) -> Result<T> {
    Err(Fault::Damaged(reason.into()))
}

/// A [`Fault::Unsupported`].
pub(super) fn unsupported<T>(reason: impl Into<String>) -> Result<T> {
    Err(Fault::Unsupported(reason.into()))
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
