//! [`Block`]: the one interface between a model and the passes that rewrite it.

use burn::nn::Linear;
use burn::tensor::Tensor;

use crate::{Norm, Shortcut};

/// A decoder block, as a sequence of residual updates: its sublayers.
///
/// A block with attention and then an MLP has two sublayers with one writer each; one that runs
/// them in parallel (Phi-2) has one sublayer with two writers. An implementation defines three
/// things: the number of sublayers, their weights by role ([`Block::sublayer`] and
/// [`Block::sublayer_mut`]), and how the normalised stream becomes the input of each writer
/// ([`Block::writer_inputs`]). The residual update is the same for every block and is provided.
///
/// Every linear that reads the stream must be among the readers, and everything that is added to
/// the stream must come out of one of the writers.
///
/// # Example
///
/// A block with one gated MLP, sliced by hand to the first 12 of 16 coordinate axes:
///
/// ```
/// use burn::nn::{Linear, LinearConfig};
/// use burn::tensor::{DType, Device, Distribution, Tensor, activation::silu};
/// use slicegpt_core::{Basis, Block, Norm, Shortcut, Sublayer, SublayerMut, read_in, write_in};
///
/// struct Gated { norm: Norm, gate: Linear, up: Linear, down: Linear, shortcut: Shortcut }
///
/// impl Block for Gated {
///     type Context = (); // it needs nothing but the stream
///     fn sublayers(&self) -> usize { 1 }
///     fn writer_inputs(&self, _: usize, x: Tensor<3>, _: &()) -> Vec<Tensor<3>> {
///         vec![silu(self.gate.forward(x.clone())) * self.up.forward(x)] // one per writer
///     }
///     fn sublayer(&self, _: usize) -> Sublayer<'_> {
///         Sublayer {
///             norm: &self.norm,
///             readers: vec![&self.gate, &self.up],
///             writers: vec![&self.down],
///             shortcut: &self.shortcut,
///         }
///     }
///     fn sublayer_mut(&mut self, _: usize) -> SublayerMut<'_> {
///         SublayerMut {
///             norm: &mut self.norm,
///             readers: vec![&mut self.gate, &mut self.up],
///             writers: vec![&mut self.down],
///             shortcut: &mut self.shortcut,
///         }
///     }
/// }
///
/// let device = Device::flex();
/// let linear = |i, o| LinearConfig::new(i, o).with_bias(false).init(&device);
/// let mut block = Gated {
///     norm: Norm::bare(16, 1e-5),
///     gate: linear(16, 40),
///     up: linear(16, 40),
///     down: linear(40, 16),
///     shortcut: Shortcut::identity(),
/// };
/// let x = Tensor::<3>::random([2, 5, 16], Distribution::Default, &device);
/// let full = block.step(0, x.clone(), &());
///
/// // Any orthonormal directions would do; a pass takes the principal ones.
/// let basis = Basis::axes(16, 12).on(&device);
/// let SublayerMut { readers, writers, shortcut, .. } = block.sublayer_mut(0);
/// readers.into_iter().for_each(|reader| read_in(reader, &basis));
/// writers.into_iter().for_each(|writer| write_in(writer, &basis));
/// *shortcut = Shortcut::between(&basis, &basis, DType::F32);
///
/// let sliced = block.step(0, x.narrow(2, 0, 12), &());
/// assert_eq!(sliced.dims(), [2, 5, 12]);
/// # assert_eq!(full.dims(), [2, 5, 16]);
/// ```
///
/// With `slicegpt-invariance` and `slicegpt-slice` the same block is fused, calibrated and sliced
/// in three calls: see `slice_block` there, and `examples/custom_block.rs` of this crate.
///
/// Several batches may run through a block at the same time: hence [`Sync`], which every Burn
/// module is.
pub trait Block: Sync {
    /// What a forward pass needs in addition to the stream: positions, masks, a KV cache. Passes
    /// carry it along and do not interpret it. `()` if nothing is needed.
    type Context: Sync;

    /// The number of sublayers, at least one.
    fn sublayers(&self) -> usize;

    /// The inputs of the writers of sublayer `index`, in the order of [`Sublayer::writers`].
    ///
    /// # Shapes
    /// - `normed`: `[batch, tokens, width]`, the output of the norm of this sublayer
    /// - each output: `[batch, tokens, inputs of that writer]`
    fn writer_inputs(
        &self,
        index: usize,
        normed: Tensor<3>,
        context: &Self::Context,
    ) -> Vec<Tensor<3>>;

    /// The weights of sublayer `index`, by role.
    fn sublayer(&self, index: usize) -> Sublayer<'_>;

    /// The weights of sublayer `index`, by role, for rewriting.
    fn sublayer_mut(&mut self, index: usize) -> SublayerMut<'_>;

    /// The groups of units inside sublayer `index` that can be removed without changing the shape
    /// of anything outside. None by default.
    fn prunable(&self, index: usize) -> Vec<PrunableUnits> {
        let _ = index;
        Vec::new()
    }

    /// The stream, normalised for sublayer `index`. Passes normalise through this method only, so
    /// that an implementation may override it with a faster kernel.
    ///
    /// # Shapes
    /// - `stream` and output: `[batch, tokens, width]`
    fn normed(&self, index: usize, stream: Tensor<3>) -> Tensor<3> {
        self.sublayer(index).norm.forward(stream)
    }

    /// The stream after sublayer `index`: `x S + sum_k h_k W_k + b_k`, where `h_k` are the
    /// [`Block::writer_inputs`] of `norm(x)`.
    ///
    /// # Shapes
    /// - `stream`: `[batch, tokens, width in]`
    /// - output: `[batch, tokens, width out]`
    fn step(&self, index: usize, stream: Tensor<3>, context: &Self::Context) -> Tensor<3> {
        let normed = self.normed(index, stream.clone());
        let inputs = self.writer_inputs(index, normed, context);
        self.write(index, stream, inputs)
    }

    /// The stream after sublayer `index`, from the stream before it and the inputs of its writers.
    ///
    /// # Panics
    ///
    /// If the number of inputs is not that of the writers.
    ///
    /// # Shapes
    /// - `stream`: `[batch, tokens, width in]`
    /// - `inputs`: the result of [`Block::writer_inputs`]
    /// - output: `[batch, tokens, width out]`
    fn write(&self, index: usize, stream: Tensor<3>, inputs: Vec<Tensor<3>>) -> Tensor<3> {
        let Sublayer { writers, shortcut, .. } = self.sublayer(index);
        assert_eq!(inputs.len(), writers.len(), "one input per writer");
        writers
            .into_iter()
            .zip(inputs)
            .fold(shortcut.forward(stream), |sum, (writer, input)| sum + writer.forward(input))
    }

    /// The stream after the whole block.
    fn forward(&self, stream: Tensor<3>, context: &Self::Context) -> Tensor<3> {
        (0..self.sublayers()).fold(stream, |stream, index| self.step(index, stream, context))
    }
}

/// A group of units inside a sublayer that are independent of each other: what unit `u` gives to a
/// writer depends on what unit `u` gets from the listed readers, and on nothing that other units
/// get. Any unit can be removed: its rows of the writer, and its columns of those readers.
///
/// The channels of an MLP are such units, with one input of the writer and one output of each
/// reader. The groups of heads of an attention are, too: a key head, its value head and the query
/// heads that share them. A unit's rows and columns lie next to each other, unit after unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrunableUnits {
    /// The axis of a decoder's size that these units belong to.
    pub axis: Axis,
    /// Index among [`Sublayer::writers`].
    pub writer: usize,
    /// Inputs of the writer that belong to one unit.
    pub inputs: usize,
    /// Indices among [`Sublayer::readers`], and the outputs of each that belong to one unit.
    pub readers: Vec<(usize, usize)>,
}

/// An axis of a decoder's size inside its blocks. All units of an axis are kept in the same number
/// in every block, unless a plan asks for other numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Axis {
    /// Channels of MLPs.
    Mlp,
    /// Groups of attention heads: a key head, its value head and the query heads that share them.
    Heads,
}

impl PrunableUnits {
    /// Channels of an MLP: units of one input of `writer` and one output of each of `readers`.
    pub fn channels(writer: usize, readers: impl IntoIterator<Item = usize>) -> Self {
        let readers = readers.into_iter().map(|reader| (reader, 1)).collect();
        Self { axis: Axis::Mlp, writer, inputs: 1, readers }
    }

    /// The number of units in `sublayer`, which declared them.
    ///
    /// # Panics
    ///
    /// If the sublayer has no such writer.
    pub fn count(&self, sublayer: &Sublayer<'_>) -> usize {
        sublayer.writers[self.writer].weight.dims()[0] / self.inputs
    }
}

/// The weights of one residual update, by role.
pub struct Sublayer<'a> {
    /// The norm between the stream and the readers.
    pub norm: &'a Norm,
    /// Linears whose input is the normalised stream.
    pub readers: Vec<&'a Linear>,
    /// Linears whose output is added to the stream.
    pub writers: Vec<&'a Linear>,
    /// The residual path.
    pub shortcut: &'a Shortcut,
}

/// The weights of one residual update, by role, for rewriting.
pub struct SublayerMut<'a> {
    /// The norm between the stream and the readers.
    pub norm: &'a mut Norm,
    /// Linears whose input is the normalised stream.
    pub readers: Vec<&'a mut Linear>,
    /// Linears whose output is added to the stream.
    pub writers: Vec<&'a mut Linear>,
    /// The residual path.
    pub shortcut: &'a mut Shortcut,
}
