//! [`SliceError`]: why a model was not sliced, and at which sublayer.

use slicegpt_calibrate::{AnalysisError, RidgeError};

/// Why a block was not sliced.
#[derive(Debug, thiserror::Error)]
pub enum SliceError {
    /// The calibration signal cannot be analysed before the first block.
    #[error("the calibration signal after the embedding: {0}")]
    Embedding(AnalysisError),
    /// The calibration signal cannot be analysed after a sublayer: mostly because it overflowed.
    #[error("the calibration signal after sublayer {sublayer} of block {block}: {source}")]
    Sublayer {
        /// Index of the block in the model.
        block: usize,
        /// Index of the sublayer in the block.
        sublayer: usize,
        /// What was found.
        source: AnalysisError,
    },
    /// The refit of a sublayer has no solution in double precision. A larger
    /// [`Ridge::lambda`](slicegpt_calibrate::Ridge::lambda) makes it solvable.
    #[error(
        "sublayer {sublayer} of block {block}: the normal equations of the refit are singular; \
         refit by a ridge with a larger lambda, or calibrate on more tokens"
    )]
    Singular {
        /// Index of the block in the model.
        block: usize,
        /// Index of the sublayer in the block.
        sublayer: usize,
    },
    /// A [`Shelf`](crate::Shelf) could not store a signal or give it back.
    #[error("the calibration signal cannot be stored: {0}")]
    Shelf(std::io::Error),
    /// The observer cancelled the computation.
    #[error("interrupted")]
    Interrupted,
}

/// A sublayer of a model, for errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub block: usize,
    pub sublayer: usize,
}

impl SliceError {
    /// The signal after the sublayer at `place`, or after the embedding, cannot be analysed.
    pub(crate) fn signal(place: Option<Place>, source: AnalysisError) -> Self {
        match place {
            None => Self::Embedding(source),
            Some(place) => place.signal(source),
        }
    }
}

impl Place {
    /// The signal after this sublayer cannot be analysed.
    pub fn signal(self, source: AnalysisError) -> SliceError {
        let Self { block, sublayer } = self;
        SliceError::Sublayer { block, sublayer, source }
    }

    /// The signal after this sublayer is not finite.
    pub fn not_finite(self) -> SliceError {
        self.signal(AnalysisError::ActivationsNotFinite)
    }

    /// A linear of this sublayer cannot be refitted.
    pub fn refit(self, error: RidgeError) -> SliceError {
        let Self { block, sublayer } = self;
        match error {
            RidgeError::Analysis(source) => self.signal(source),
            RidgeError::Singular => SliceError::Singular { block, sublayer },
        }
    }
}
