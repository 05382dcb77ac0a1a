//! How wide to keep the stream at every cut, and the pass that makes it so.
//!
//! [`Schedule`] turns a sparsity, or a list, into [`slicegpt_core::Widths`]. [`slice_block`] cuts
//! one block, running each sublayer once on the calibration stream, which it carries on to the
//! next block; [`run`] folds it over all blocks, one in memory at a time.
//!
//! This crate refuses to know families, checkpoints and text: blocks come out of an iterator and go
//! into a closure.

mod block;
mod inner;
mod pair;
mod plan;
mod refit;
mod run;
mod split;
mod stream;
mod survey;
mod walk;

pub use block::{SliceError, SlicedBlock, slice_block};
pub use inner::{Importance, most_important, most_important_of_all, narrow};
pub use plan::{PlanError, Schedule};
pub use refit::{ReaderFit, TiedHead};
pub use run::{Sliced, Spectra, run};
pub use slicegpt_calibrate::{
    Arithmetic, Covariance, Directions, Moments, Orientation, Ridge, RidgeError, Spectrum, align,
    principal,
};
pub use split::{Grid, Split, Tried, search};
pub use stream::{Batch, Memory, Settings, Shelf, Stages, Stream};
pub use survey::{Survey, survey};
pub use walk::{Walk, cut_block};

/// The page of the book about this crate: its program is run with the examples of this documentation.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/library.md")]
struct Page;
