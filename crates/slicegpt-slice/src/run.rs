//! [`run`]: all blocks, one in memory at a time.

use std::ops::ControlFlow;

use slicegpt_calibrate::{Orientation, Spectrum};
use slicegpt_core::{Block, Fused, Widths};

use crate::{SliceError, Stream, slice_block};

/// A block that has been sliced.
pub struct Sliced<B> {
    /// Which one of the model.
    pub index: usize,
    /// Its weights, cut.
    pub block: B,
    /// Of the full-width signal after each of its sublayers.
    pub spectra: Vec<Spectrum>,
}

/// Slices `blocks` in order, as [`slice_block`] does, and hands each to `sink` before the next is
/// taken: one block is in memory at a time.
///
/// # Errors
///
/// The first error of `blocks`, of slicing, or of `sink`.
///
/// # Panics
///
/// If `widths` does not fit the blocks.
pub fn run<B: Block, E: From<SliceError>>(
    mut stream: Stream<B::Context>,
    blocks: impl IntoIterator<Item = Result<Fused<B>, E>>,
    widths: &Widths,
    orientation: &mut Orientation,
    tick: &mut dyn FnMut() -> ControlFlow<()>,
    mut sink: impl FnMut(Sliced<B>) -> Result<(), E>,
) -> Result<Stream<B::Context>, E> {
    for (index, block) in blocks.into_iter().enumerate() {
        let block = block?;
        let around = widths.block(index, block.get().depth());
        let sliced = slice_block(block, index, stream, around, orientation, tick)?;
        stream = sliced.stream;
        sink(Sliced { index, block: sliced.block, spectra: sliced.spectra })?;
    }
    Ok(stream)
}
