//! Slicing: how wide to keep the stream at every cut, and the passes that cut it.
//!
//! Blocks are anything that implements [`slicegpt_core::Block`], fused by `slicegpt-invariance`.
//! There are two methods:
//!
//! - **One basis per cut**, as in the paper: [`Stream`] holds the calibration signal, [`run`]
//!   slices block after block and hands each to a closure, with one block in memory at a time.
//!   [`slice_block`] slices a single block. Start here.
//! - **One basis for all cuts**, without shortcut matrices: [`profile`] runs the dense decoder
//!   once. [`Directions`] orders the directions of its stream, [`most_important`] chooses the units
//!   that stay, [`Distances`] the blocks to remove, and [`PairedPass`] slices the blocks while it
//!   refits them to the dense ones.
//!
//! [`Schedule`] turns a sparsity, or a list, into [`slicegpt_core::Widths`]. [`Settings`] say how a
//! calibration is computed, where signals are stored, and who observes progress or cancels.
//!
//! ```
//! use slicegpt_slice::Schedule;
//!
//! // Cut 25 % of a stream of 64 in a model of two blocks with two sublayers each.
//! let schedule = Schedule::Linear { start: 0.25, end: 0.25, round_to: 8, slice_head: false };
//! let widths = schedule.widths(64, 2, 2)?;
//! assert_eq!(widths.as_slice(), [48, 48, 48, 48, 64]);
//! # Ok::<(), slicegpt_slice::PlanError>(())
//! ```
//!
//! The documentation of [`slice_block`] slices a block from beginning to end.
//!
//! This crate refuses to know families, checkpoints and text: blocks come out of an iterator and go
//! into a closure.

mod block;
mod carried;
mod dense_streams;
mod distances;
mod error;
mod kept;
mod linears;
mod paired_pass;
mod plan;
mod profile;
mod refit;
mod run;
mod settings;
mod shelf;
mod stages;
mod stream;
mod units;

pub use block::{SlicedBlock, slice_block};
pub use dense_streams::DenseStreams;
pub use distances::Distances;
pub use error::SliceError;
pub use kept::{BlockUnits, KeptUnits};
pub use paired_pass::{PairedPass, cut_block};
pub use plan::{PlanError, Schedule};
pub use profile::{Profile, profile};
pub use refit::{ReaderFit, Refit, TiedHead};
pub use run::{Sliced, Spectra, run};
pub use settings::{Batch, Settings};
pub use shelf::{Memory, Shelf};
pub use slicegpt_calibrate::{
    AnalysisError, Arithmetic, Covariance, Directions, Moments, Orientation, Ridge, RidgeError,
    Spectrum, align, principal,
};
pub use stages::Stages;
pub use stream::Stream;
pub use units::{Importance, allocate_units, most_important, narrow};

/// Runs the program in `docs/library.md` as a documentation test.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/library.md")]
struct Page;
