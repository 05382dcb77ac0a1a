//! Refitting sliced weights to the dense model by ridge regression.
//!
//! With the dense and the sliced stream side by side, every linear has an exact target:
//!
//! ```text
//! readers   W' = argmin || norm(x') W' - norm(x) W ||^2        + r || W' - B^T W ||^2
//! writers   W' = argmin || h' W' - (y B - x' S) ||^2           + r || W' - W B ||^2
//! ```
//!
//! `x` and `x'` are the dense and the sliced stream before the sublayer, `y` is the dense one after
//! it, `h'` are the inputs of all writers together, `B` is the basis and `S` the shortcut. The
//! regressions need sums of products over the tokens only; no token is stored for them.

mod held_out;
mod reader;
mod tied;
mod writer;

use slicegpt_calibrate::Ridge;

pub(crate) use held_out::{Parts, divide};
pub use reader::ReaderFit;
pub use tied::TiedHead;
pub(crate) use writer::refit_writers;

/// How the linears of a cut decoder are refitted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Refit {
    /// Readers and writers, by a ridge regression of this strength.
    Ridge(Ridge),
    /// Writers by a regression whose strength and target held-out tokens decide. Units
    /// are removed in the order of the error that remains after the others compensate: see
    /// [`slicegpt_calibrate::Regression`]. Readers only where the stream is narrower, by the
    /// default ridge. In one basis only: with a basis per cut it is the default ridge.
    HeldOut,
}

impl Refit {
    /// The ridge of readers and head.
    pub fn ridge(self) -> Ridge {
        match self {
            Self::Ridge(ridge) => ridge,
            Self::HeldOut => Ridge::default(),
        }
    }
}
