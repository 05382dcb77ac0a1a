//! [`CompressError`]: why a compression failed.

use slicegpt_calibrate::{AnalysisError, RidgeError};
use slicegpt_slice::SliceError;

use crate::{PlanError, StatisticsError};

/// Why a compression failed. Sources are kept, so that programs can distinguish them.
#[derive(Debug, thiserror::Error)]
pub enum CompressError {
    /// The plan contradicts itself or the model.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A part of the dense model cannot be read.
    #[error(transparent)]
    Model(Box<dyn std::error::Error + Send + Sync>),
    /// The sink did not take a part of the compressed model.
    #[error(transparent)]
    Sink(Box<dyn std::error::Error + Send + Sync>),
    /// A signal overflowed, or a block could not be fitted.
    #[error(transparent)]
    Slice(SliceError),
    /// The statistics of the dense model cannot be analysed.
    #[error(transparent)]
    Analysis(#[from] AnalysisError),
    /// The head could not be fitted.
    #[error(transparent)]
    Head(#[from] RidgeError),
    /// The head, with the weight of the last norm folded in, overflows float32.
    #[error("{table}: its values times those of the last norm are beyond float32")]
    HeadOverflow {
        /// The table, as the model calls it.
        table: String,
    },
    /// The storage for the calibration signal could not be created.
    #[error("the calibration signal cannot be kept: {0}")]
    Shelf(#[source] std::io::Error),
    /// Statistics in a file do not fit.
    #[error(transparent)]
    Statistics(#[from] StatisticsError),
    /// There is nothing to calibrate on.
    #[error("{0}")]
    NoTokens(&'static str),
    /// The observer cancelled the compression.
    #[error("interrupted")]
    Interrupted,
}

pub(crate) type Result<T> = std::result::Result<T, CompressError>;

impl From<SliceError> for CompressError {
    fn from(error: SliceError) -> Self {
        match error {
            SliceError::Interrupted => Self::Interrupted,
            error => Self::Slice(error),
        }
    }
}

impl CompressError {
    /// A part of the dense model that cannot be read.
    pub(crate) fn model(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Model(Box::new(error))
    }

    /// A part of the compressed model that was not taken.
    pub(crate) fn sink(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Sink(error.into())
    }

    /// The message, with fields of the plan and of the statistics called as `name` says.
    pub fn message(&self, name: &dyn Fn(&'static str) -> String) -> String {
        match self {
            Self::Plan(error) => error.message(name),
            Self::Statistics(error) => error.message(name),
            error => error.to_string(),
        }
    }
}
