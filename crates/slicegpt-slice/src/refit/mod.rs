//! Refitting what was sliced towards what the dense model does, by ridge regression.
//!
//! With the dense and the sliced stream side by side, every linear has an exact target:
//!
//! ```text
//! readers   W' = argmin || norm(x') W' - norm(x) W ||^2        + r || W' - B^T W ||^2
//! writers   W' = argmin || h' W' - (y B - x' S) ||^2           + r || W' - W B ||^2
//! ```
//!
//! `x` and `x'` are the dense and the sliced stream before the sublayer, `y` the dense one after it,
//! `h'` the inputs of the writers, all at once, `S` the shortcut. What is needed of the tokens are sums
//! of products; none is kept.

mod reader;
mod tied;
mod writer;

pub use reader::ReaderFit;
pub use tied::TiedHead;
pub(crate) use writer::refit_writers;
