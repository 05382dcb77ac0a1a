//! [`run`]: the method of the paper for all blocks, with one in memory at a time.

use slicegpt_calibrate::{Orientation, Spectrum};
use slicegpt_core::{Basis, Block, Fused, Widths};

use crate::block::{End, slice};
use crate::error::SliceError;
use crate::stages::Stages;
use crate::stream::Stream;

/// The cuts at which the spectrum is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spectra {
    /// At every cut.
    Everywhere,
    /// Only where the slicing needs it.
    WhereCut,
}

/// A block that [`run`] has sliced.
pub struct Sliced<B> {
    /// Index of the block in the model.
    pub index: usize,
    /// The block, with sliced weights.
    pub block: B,
    /// The spectrum of the full-width signal after each of its sublayers.
    pub spectra: Vec<Spectrum>,
}

/// Slices `blocks` in order, as [`slice_block`](crate::slice_block) does, and hands each to `sink`
/// before the next is taken: one block is in memory at a time. Gives the basis of the stream after
/// the last block, and where the time was spent.
///
/// If the last cut keeps the full width, its spectrum is not asked for ([`Spectra::WhereCut`]) and
/// `orientation` is [`Orientation::Pca`], the last sublayer runs on the first batch only, and its
/// spectrum is missing.
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
    mut sink: impl FnMut(Sliced<B>) -> Result<(), E>,
) -> Result<(Basis, Stages), E> {
    let uncut = widths.head() == stream.basis().hidden_size();
    let unused = spectra == Spectra::WhereCut && matches!(orientation, Orientation::Pca);
    for (index, block) in blocks.into_iter().enumerate() {
        let block = block?;
        let sublayers = block.get().sublayers();
        let around = widths.block(index, sublayers);
        let last = (index + 1) * sublayers + 1 == widths.as_slice().len();
        let end = if last && uncut && unused { End::Open } else { End::Analysed };
        let sliced = slice(block, index, stream, around, orientation, end)?;
        stream = sliced.stream;
        sink(Sliced { index, block: sliced.block, spectra: sliced.spectra })?;
    }
    Ok((stream.basis().clone(), stream.carried.stages))
}
