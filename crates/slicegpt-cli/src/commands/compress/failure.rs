//! [`Failure`]: any error, through a pass that has one of its own.

use slicegpt_slice::SliceError;

use crate::progress::Interrupted;

/// Any error, through a pass that has one of its own.
pub struct Failure(anyhow::Error);

impl Failure {
    pub fn new(error: impl Into<anyhow::Error>) -> Self {
        Self(error.into())
    }

    pub fn of(Failure(error): Self) -> anyhow::Error {
        error
    }
}

impl From<SliceError> for Failure {
    fn from(error: SliceError) -> Self {
        match error {
            SliceError::Interrupted => Self::new(Interrupted),
            error => Self::new(error),
        }
    }
}
