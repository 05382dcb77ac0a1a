//! How wide to keep the stream at every cut, and the pass that makes it so.
//!
//! [`Schedule`] turns a sparsity, or a list, into [`slicegpt_core::Widths`]. [`slice_block`] cuts
//! one block, running each sublayer once on the calibration stream, which it carries on to the
//! next block; [`run`] folds it over all blocks, one in memory at a time.
//!
//! This crate refuses to know families, checkpoints and text: blocks come out of an iterator and go
//! into a closure.

mod block;
mod plan;
mod run;
mod stream;

pub use block::{SliceError, SlicedBlock, slice_block};
pub use plan::{PlanError, Schedule};
pub use run::{Sliced, Spectra, run};
pub use slicegpt_calibrate::{Arithmetic, Orientation, Spectrum};
pub use stream::{Batch, Memory, Settings, Shelf, Stages, Stream};
