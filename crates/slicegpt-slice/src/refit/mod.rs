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

mod reader;
mod tied;
mod writer;

pub use reader::ReaderFit;
pub use tied::TiedHead;
pub(crate) use writer::refit_writers;
