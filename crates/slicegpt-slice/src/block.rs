//! [`slice_block`]: the method of the paper, for one block.

use burn::tensor::Tensor;
use slicegpt_calibrate::{Orientation, Spectrum};
use slicegpt_core::{Block, Fused, Shortcut, SublayerMut, read_in, write_in};

use crate::error::{Place, SliceError};
use crate::linears::{cast, restore};
use crate::stages::timed;
use crate::stream::Stream;

/// A block that has been sliced, and the stream after it.
pub struct SlicedBlock<B: Block> {
    /// The block, with sliced weights.
    pub block: B,
    /// The stream the next block reads.
    pub stream: Stream<B::Context>,
    /// The spectrum of the full-width signal after each sublayer.
    pub spectra: Vec<Spectrum>,
}

/// Slices `block`, number `number` of its model, to `widths` (the width it reads, then the width
/// each sublayer writes), and carries `stream` through it. Each sublayer runs once per batch:
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
/// = y B'`. After every batch of a sublayer the observer of the stream's
/// [`Settings`](crate::Settings) is called.
///
/// # Example
///
/// A block with one MLP, fused and sliced from 16 to 12 and 10:
///
/// ```
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
/// let SlicedBlock { block, stream, spectra } =
///     slice_block(fuse(block), 0, stream, &[12, 10], &mut orientation)?;
///
/// assert_eq!(block.up.weight.dims(), [12, 64]);
/// assert_eq!(block.down.weight.dims(), [64, 10]);
/// assert_eq!(stream.into_signals()?[0].dims(), [4, 32, 10]);
/// assert_eq!(spectra[0].eigenvalues.len(), 16);
/// # Ok::<(), slicegpt_slice::SliceError>(())
/// ```
///
/// # Errors
///
/// If the signal is not finite or cannot be stored, the eigensolver does not converge, or the
/// observer cancels.
///
/// # Panics
///
/// If `widths` does not have one entry more than the block has sublayers, or does not begin with
/// the width of the stream.
pub fn slice_block<B: Block>(
    block: Fused<B>,
    number: usize,
    stream: Stream<B::Context>,
    widths: &[usize],
    orientation: &mut Orientation,
) -> Result<SlicedBlock<B>, SliceError> {
    slice(block, number, stream, widths, orientation, End::Analysed)
}

/// Whether the signal after the last sublayer of a block is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It is computed and analysed, as after every other sublayer.
    Analysed,
    /// It is not needed. Only the first batch is run, to check that its output is finite; the last
    /// sublayer writes at full width, and the stream that is returned has no signal.
    Open,
}

/// [`slice_block`], with `end` saying whether the signal after the block is needed.
pub(crate) fn slice<B: Block>(
    block: Fused<B>,
    number: usize,
    mut stream: Stream<B::Context>,
    widths: &[usize],
    orientation: &mut Orientation,
    end: End,
) -> Result<SlicedBlock<B>, SliceError> {
    let mut block = block.into_inner();
    assert_eq!(widths.len(), block.sublayers() + 1, "one width around every sublayer");
    assert_eq!(widths[0], stream.basis().rank(), "the block reads the stream as it is");
    let mut spectra = Vec::new();
    for (index, &rank) in widths[1..].iter().enumerate() {
        let compute = stream.compute();
        let from = stream.matrix().clone();
        let SublayerMut { readers, writers, .. } = block.sublayer_mut(index);
        let weight = writers[0].weight.val();
        let (device, dtype) = (weight.device(), weight.dtype());
        timed(&mut stream.carried.stages.edit, || {
            readers.into_iter().for_each(|reader| read_in(reader, &from));
        });

        // Read the stream in the basis it arrives in, but write at full width, so that the output
        // can be analysed.
        *block.sublayer_mut(index).shortcut = Shortcut::back(stream.basis(), &device, compute);
        let originals = cast(&mut block, index, compute);
        let place = Place { block: number, sublayer: index };
        let step = |batch: Tensor<3>, context: &B::Context| block.step(index, batch, context);
        if end == End::Open && index + 1 == block.sublayers() {
            stream.finish(place, step)?;
        } else {
            spectra.push(stream.advance(rank, orientation, place, step)?);
        }
        restore(&mut block, index, originals);

        // Now write in the new basis too.
        let SublayerMut { writers, shortcut, .. } = block.sublayer_mut(index);
        let to = stream.matrix().clone();
        timed(&mut stream.carried.stages.edit, || {
            writers.into_iter().for_each(|writer| write_in(writer, &to));
            *shortcut = Shortcut::between(&from, &to, dtype);
            let _ = device.sync();
        });
    }
    Ok(SlicedBlock { block, stream, spectra })
}
