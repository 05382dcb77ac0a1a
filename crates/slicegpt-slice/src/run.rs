//! [`run`]: all blocks, one in memory at a time.

use std::ops::ControlFlow;

use slicegpt_calibrate::{Orientation, Spectrum};
use slicegpt_core::{Basis, Block, Fused, Widths};

use crate::block::{End, slice};
use crate::{SliceError, Stages, Stream};

/// Which spectra are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spectra {
    /// Of the signal at every cut.
    Everywhere,
    /// Where they are needed anyway.
    WhereCut,
}

/// A block that has been sliced.
pub struct Sliced<B> {
    /// Which one of the model.
    pub index: usize,
    /// Its weights, cut.
    pub block: B,
    /// Of the full-width signal after each of its sublayers.
    pub spectra: Vec<Spectrum>,
}

/// Slices `blocks` in order, as [`slice_block`](crate::slice_block) does, and hands each to `sink`
/// before the next is taken: one block is in memory at a time. Gives the basis of the stream behind
/// the last, and where the time went.
///
/// Where nothing is cut behind the last sublayer, and `spectra` says that nobody looks at its
/// output, it is run on the first batch only: its spectrum is then missing.
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
    spectra: Spectra,
    tick: &mut dyn FnMut() -> ControlFlow<()>,
    mut sink: impl FnMut(Sliced<B>) -> Result<(), E>,
) -> Result<(Basis, Stages), E> {
    let uncut = widths.head() == stream.basis().hidden_size();
    let unseen = spectra == Spectra::WhereCut && matches!(orientation, Orientation::Pca);
    for (index, block) in blocks.into_iter().enumerate() {
        let block = block?;
        let depth = block.get().sublayers();
        let around = widths.block(index, depth);
        let last = (index + 1) * depth + 1 == widths.as_slice().len();
        let end = if last && uncut && unseen { End::Open } else { End::Analysed };
        let sliced = slice(block, index, stream, around, orientation, tick, end)?;
        stream = sliced.stream;
        sink(Sliced { index, block: sliced.block, spectra: sliced.spectra })?;
    }
    Ok((stream.basis().clone(), stream.stages))
}
