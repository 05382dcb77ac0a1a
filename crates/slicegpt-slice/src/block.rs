//! [`slice_block`]: the recipe of the paper, for one block.

use std::ops::ControlFlow;

use burn::nn::Linear;
use burn::tensor::{DType, Tensor};
use slicegpt_calibrate::{NotFinite, Orientation, Spectrum};
use slicegpt_core::{Block, Fused, Shortcut, SublayerMut, read_in, write_in};

use crate::Stream;
use crate::stream::timed;

/// Why a block was not sliced.
#[derive(Debug, thiserror::Error)]
pub enum SliceError {
    /// The signal is damaged before the first block.
    #[error("the calibration signal after the embedding: {0}")]
    Embedding(NotFinite),
    /// The calibration signal overflowed.
    #[error("the calibration signal after sublayer {sublayer} of block {block}: {source}")]
    NotFinite {
        /// Of the model.
        block: usize,
        /// Of the block.
        sublayer: usize,
        /// What was found.
        source: NotFinite,
    },
    /// A refit has no solution in float64.
    #[error(
        "sublayer {sublayer} of block {block}: the normal equations of the refit are singular; raise \
         the lambda of --refit"
    )]
    Singular {
        /// Of the model.
        block: usize,
        /// Of the block.
        sublayer: usize,
    },
    /// A signal cannot be kept, or had back.
    #[error("the calibration signal cannot be kept: {0}")]
    Shelf(std::io::Error),
    /// The caller asked to stop.
    #[error("interrupted")]
    Interrupted,
}

/// A block that has been sliced, and the stream behind it.
pub struct SlicedBlock<B: Block> {
    /// Its weights, cut.
    pub block: B,
    /// What the next block reads.
    pub stream: Stream<B::Context>,
    /// Of the full-width signal after each of its sublayers.
    pub spectra: Vec<Spectrum>,
}

/// Slices `block`, number `number` of its model, to `widths` (what it reads, then what each
/// sublayer writes), and carries `stream` through it. Each sublayer runs once per batch:
///
/// ```text
/// readers <- B^T W          shortcut <- B^T               read sliced, write at full width
/// y  = step(z)                                            the only forward of this sublayer
/// B' = top-d eigenvectors of sum over kept tokens of y^T y
/// writers <- W B', b B'     shortcut <- B^T B'
/// z  <- y B'
/// ```
///
/// This equals running the sliced block again on `z` (SliceGPT, section 3.3): `z B^T B' + f W B'
/// = y B'`. `tick` is called after every batch and may stop the work.
///
/// # Example
///
/// A block of one's own, from norm to cut:
///
/// ```
/// use std::ops::ControlFlow;
///
/// use burn::nn::{Linear, LinearConfig};
/// use burn::tensor::{Device, Distribution, Tensor, activation::relu};
/// use slicegpt_core::{Block, Norm, Shortcut, Sublayer, SublayerMut};
/// use slicegpt_invariance::fuse;
/// use slicegpt_slice::{Batch, Orientation, SlicedBlock, Stream, slice_block};
///
/// struct Plain { norm: Norm, up: Linear, down: Linear, shortcut: Shortcut }
///
/// impl Block for Plain {
///     type Context = ();
///     fn sublayers(&self) -> usize { 1 }
///     fn writer_inputs(&self, _: usize, x: Tensor<3>, _: &()) -> Vec<Tensor<3>> {
///         vec![relu(self.up.forward(x))]
///     }
///     fn sublayer(&self, _: usize) -> Sublayer<'_> {
///         Sublayer {
///             norm: &self.norm,
///             readers: vec![&self.up],
///             writers: vec![&self.down],
///             shortcut: &self.shortcut,
///         }
///     }
///     fn sublayer_mut(&mut self, _: usize) -> SublayerMut<'_> {
///         SublayerMut {
///             norm: &mut self.norm,
///             readers: vec![&mut self.up],
///             writers: vec![&mut self.down],
///             shortcut: &mut self.shortcut,
///         }
///     }
/// }
///
/// let device = Device::flex();
/// let block = Plain {
///     norm: Norm::bare(16, 1e-5),
///     up: LinearConfig::new(16, 64).init(&device),
///     down: LinearConfig::new(64, 16).init(&device),
///     shortcut: Shortcut::identity(),
/// };
/// let signal = Tensor::random([4, 32, 16], Distribution::Normal(0.0, 1.0), &device);
///
/// let mut orientation = Orientation::Pca;
/// let batch = Batch { signal, context: (), keep: None };
/// let (stream, _) = Stream::project(vec![batch], 12, &mut orientation)?;
/// let go_on = &mut || ControlFlow::Continue(());
/// let SlicedBlock { block, stream, spectra } =
///     slice_block(fuse(block), 0, stream, &[12, 10], &mut orientation, go_on)?;
///
/// assert_eq!(block.up.weight.dims(), [12, 64]);
/// assert_eq!(block.down.weight.dims(), [64, 10]);
/// assert_eq!(stream.into_signals()?[0].dims(), [4, 32, 10]);
/// assert_eq!(spectra[0].eigenvalues.len(), 16);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// If the signal is not finite, or `tick` breaks.
///
/// # Panics
///
/// If `widths` has not one entry more than the block has sublayers, or does not begin with the
/// width of the stream.
pub fn slice_block<B: Block>(
    block: Fused<B>,
    number: usize,
    stream: Stream<B::Context>,
    widths: &[usize],
    orientation: &mut Orientation,
    tick: &mut dyn FnMut() -> ControlFlow<()>,
) -> Result<SlicedBlock<B>, SliceError> {
    slice(block, number, stream, widths, orientation, tick, End::Analysed)
}

/// What becomes of the signal after the last sublayer of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It is computed and analysed, as after every other.
    Analysed,
    /// Nobody asks for it: only the first batch is computed, to see that it is finite; nothing behind
    /// it is cut, and the stream that is given back has no signal.
    Open,
}

/// [`slice_block`], with a choice.
pub(crate) fn slice<B: Block>(
    block: Fused<B>,
    number: usize,
    mut stream: Stream<B::Context>,
    widths: &[usize],
    orientation: &mut Orientation,
    tick: &mut dyn FnMut() -> ControlFlow<()>,
    end: End,
) -> Result<SlicedBlock<B>, SliceError> {
    let mut block = block.into_inner();
    assert_eq!(widths.len(), block.sublayers() + 1, "a width around every sublayer");
    assert_eq!(widths[0], stream.basis().rank(), "the block reads the stream as it is");
    let mut spectra = Vec::new();
    for (index, &rank) in widths[1..].iter().enumerate() {
        let compute = stream.compute();
        let from = stream.columns().clone();
        let SublayerMut { readers, writers, .. } = block.sublayer_mut(index);
        let weight = writers[0].weight.val();
        let (device, dtype) = (weight.device(), weight.dtype());
        timed(&mut stream.stages.edit, || {
            readers.into_iter().for_each(|reader| read_in(reader, &from));
        });

        // Read the stream in the basis it arrives in, but write at full width, so that the output
        // can be analysed.
        *block.sublayer_mut(index).shortcut = Shortcut::back(stream.basis(), &device, compute);
        let exact = lower(&mut block, index, compute);
        let at = |source| SliceError::NotFinite { block: number, sublayer: index, source };
        let step = |batch: Tensor<3>, context: &B::Context| block.step(index, batch, context);
        if end == End::Open && index + 1 == block.sublayers() {
            stream.leave(at, step)?;
            if tick().is_break() {
                return Err(SliceError::Interrupted);
            }
        } else {
            spectra.push(stream.advance(rank, orientation, at, step, tick)?);
        }
        restore(&mut block, index, exact);

        // Now write in the new basis too.
        let SublayerMut { writers, shortcut, .. } = block.sublayer_mut(index);
        let to = stream.columns().clone();
        timed(&mut stream.stages.edit, || {
            writers.into_iter().for_each(|writer| write_in(writer, &to));
            *shortcut = Shortcut::between(&from, &to, dtype);
            let _ = device.sync();
        });
    }
    Ok(SlicedBlock { block, stream, spectra })
}

/// Gives the linears of a sublayer the type it is to be run in, and gives back those it had.
pub(crate) fn lower<B: Block>(block: &mut B, index: usize, dtype: DType) -> Vec<Linear> {
    let exact = linears(block, index).map(|linear| linear.clone()).collect();
    for linear in linears(block, index) {
        linear.weight = linear.weight.clone().map(|w| w.cast(dtype));
        linear.bias = linear.bias.take().map(|bias| bias.map(|b| b.cast(dtype)));
    }
    exact
}

/// Gives the linears of a sublayer the type it is to be run in, for good.
pub(crate) fn lower_all<B: Block>(block: &mut B, index: usize, dtype: DType) {
    let _ = lower(block, index, dtype);
}

/// Undoes [`lower`].
pub(crate) fn restore<B: Block>(block: &mut B, index: usize, exact: Vec<Linear>) {
    linears(block, index).zip(exact).for_each(|(linear, exact)| *linear = exact);
}

fn linears<B: Block>(block: &mut B, index: usize) -> impl Iterator<Item = &mut Linear> {
    let SublayerMut { readers, writers, .. } = block.sublayer_mut(index);
    readers.into_iter().chain(writers)
}
