//! How wide to keep the stream at every cut, and the pass that makes it so.
//!
//! [`Schedule`] turns a sparsity, or a list, into [`slicegpt_core::Widths`]. [`slice_block`] cuts
//! one block, running each sublayer once on the calibration stream, which it carries on to the
//! next block; [`run`] folds it over all blocks, one in memory at a time.
//!
//! This crate refuses to know families, checkpoints and text: blocks come out of an iterator and go
//! into a closure.

mod block;
mod channels;
mod kept;
mod pair;
mod paired_pass;
mod plan;
mod profile;
mod refit;
mod run;
mod split;
mod stream;

pub use block::{SliceError, SlicedBlock, slice_block};
pub use channels::{Importance, allocate_channels, most_important, narrow};
pub use kept::{BlockChannels, KeptChannels};
pub use paired_pass::{PairedPass, cut_block};
pub use plan::{PlanError, Schedule};
pub use profile::{Profile, profile};
pub use refit::{ReaderFit, TiedHead};
pub use run::{Sliced, Spectra, run};
pub use slicegpt_calibrate::{
    Arithmetic, Covariance, Directions, Moments, Orientation, Ridge, RidgeError, Spectrum, align,
    principal,
};
pub use split::{Grid, Split, Trial, search};
pub use stream::{Batch, Memory, Settings, Shelf, Stages, Stream};

/// The page of the book about this crate: its program is run with the examples of this documentation.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/library.md")]
struct Page;
