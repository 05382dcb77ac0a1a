//! Why statistics of a signal cannot be summed, decomposed or regressed on.

/// A sum holds a NaN or an infinity, because a number that was added to it was not finite.
///
/// This error does not say what was summed; [`AnalysisError`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a sum holds a NaN or an infinity")]
pub struct NotFinite;

/// Why a signal has no principal directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnalysisError {
    /// The signal holds a NaN or an infinity.
    #[error("the activations hold a NaN or an infinity")]
    ActivationsNotFinite,
    /// The weights that read or write the signal hold a NaN or an infinity.
    #[error("the weights hold a NaN or an infinity")]
    WeightsNotFinite,
    /// The iterations of the eigensolver did not converge.
    #[error("the eigensolver did not converge")]
    NoConvergence,
}

/// Why a regression has no solution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RidgeError {
    /// The sums of the regression are not finite.
    #[error(transparent)]
    Analysis(#[from] AnalysisError),
    /// The normal equations are singular in double precision.
    #[error(
        "the normal equations of the refit are singular; refit by a ridge with a larger lambda, or \
         calibrate on more tokens"
    )]
    Singular,
}

impl AnalysisError {
    /// The error for a sum over activations.
    pub(crate) fn activations(_: NotFinite) -> Self {
        Self::ActivationsNotFinite
    }

    /// The error for a sum over weights.
    pub(crate) fn weights(_: NotFinite) -> Self {
        Self::WeightsNotFinite
    }
}
