//! [`Block`]: the one seam between a model and the passes that rewrite it.

use burn::nn::Linear;
use burn::tensor::Tensor;

use crate::{Norm, Shortcut};

/// A decoder block, seen as a sequence of residual updates.
///
/// A block with attention and then an MLP has two sublayers with one branch each; one that runs
/// them in parallel (Phi-2) has one sublayer with two branches. An implementation says three
/// things: how many sublayers there are, what their weights are by role ([`Block::sublayer`] and
/// its mutable twin), and how the normalised stream becomes the input of each writer
/// ([`Block::writer_inputs`]). The residual update itself is the same for every block and is provided.
///
/// # Example
///
/// A block of one gated MLP, sliced by hand to the first `d` principal directions of its output:
///
/// ```
/// use burn::nn::{Linear, LinearConfig};
/// use burn::tensor::{DType, Device, Distribution, Tensor, activation::silu};
/// use slicegpt_core::{Basis, Block, Norm, Shortcut, Sublayer, SublayerMut, read_in, write_in};
///
/// struct Gated { norm: Norm, gate: Linear, up: Linear, down: Linear, shortcut: Shortcut }
///
/// impl Block for Gated {
///     type Context = (); // nothing but the stream is needed to run it
///     fn sublayers(&self) -> usize { 1 }
///     fn writer_inputs(&self, _: usize, x: Tensor<3>, _: &()) -> Vec<Tensor<3>> {
///         vec![silu(self.gate.forward(x.clone())) * self.up.forward(x)] // one writer: one input
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
/// // Here the directions kept are simply the first twelve axes: a basis is `[16, 12]`.
/// let keep = Basis::axes(16, 12);
/// let SublayerMut { readers, writers, shortcut, .. } = block.sublayer_mut(0);
/// let columns = keep.on(&device);
/// readers.into_iter().for_each(|reader| read_in(reader, &columns));
/// writers.into_iter().for_each(|writer| write_in(writer, &columns));
/// *shortcut = Shortcut::between(&columns, &columns, DType::F32);
///
/// let sliced = block.step(0, x.narrow(2, 0, 12), &());
/// assert_eq!(sliced.dims(), [2, 5, 12]);
/// # assert_eq!(full.dims(), [2, 5, 16]);
/// ```
///
/// With `slicegpt-invariance` and `slicegpt-slice` the same block is fused, calibrated and sliced
/// in three calls: see `slice_block` there.
///
/// Batches may be run side by side: hence [`Sync`], which every Burn module is.
pub trait Block: Sync {
    /// What a forward needs beside the stream: positions, masks, a cache. Passes carry it, and
    /// never look inside. `()` where nothing is needed.
    type Context: Sync;

    /// The number of sublayers, at least one.
    fn sublayers(&self) -> usize;

    /// The inputs of the writers of sublayer `index`, in the order of [`Sublayer::writers`].
    ///
    /// # Shapes
    /// - `normed`: `[batch, tokens, width]`, the stream after the norm of this sublayer
    /// - each output: `[batch, tokens, inputs of that writer]`
    fn writer_inputs(
        &self,
        index: usize,
        normed: Tensor<3>,
        context: &Self::Context,
    ) -> Vec<Tensor<3>>;

    /// The weights of sublayer `index`, by role.
    fn sublayer(&self, index: usize) -> Sublayer<'_>;

    /// The weights of sublayer `index`, by role, to be rewritten.
    fn sublayer_mut(&mut self, index: usize) -> SublayerMut<'_>;

    /// Where sublayer `index` can be made narrower inside, without anyone outside noticing: nowhere,
    /// unless an implementation says so.
    fn prunable(&self, index: usize) -> Vec<PrunableChannels> {
        let _ = index;
        Vec::new()
    }

    /// The stream after the norm of sublayer `index`.
    ///
    /// # Shapes
    /// - `stream` and output: `[batch, tokens, width]`
    fn normed(&self, index: usize, stream: Tensor<3>) -> Tensor<3> {
        self.sublayer(index).norm.forward(stream)
    }

    /// The stream after sublayer `index`: `x S + sum_k hidden_k(norm(x)) W_k + b_k`.
    ///
    /// # Shapes
    /// - `stream`: `[batch, tokens, width in]`
    /// - output: `[batch, tokens, width out]`
    fn step(&self, index: usize, stream: Tensor<3>, context: &Self::Context) -> Tensor<3> {
        let normed = self.normed(index, stream.clone());
        let hidden = self.writer_inputs(index, normed, context);
        self.write(index, stream, hidden)
    }

    /// The stream after sublayer `index`, from the stream before it and the inputs of its writers.
    ///
    /// # Panics
    ///
    /// If there is not one input for each writer.
    ///
    /// # Shapes
    /// - `stream`: `[batch, tokens, width in]`
    /// - `hidden`: what [`Block::writer_inputs`] gave
    /// - output: `[batch, tokens, width out]`
    fn write(&self, index: usize, stream: Tensor<3>, hidden: Vec<Tensor<3>>) -> Tensor<3> {
        let Sublayer { writers, shortcut, .. } = self.sublayer(index);
        assert_eq!(hidden.len(), writers.len(), "one hidden signal per writer");
        writers
            .into_iter()
            .zip(hidden)
            .fold(shortcut.forward(stream), |sum, (writer, hidden)| sum + writer.forward(hidden))
    }

    /// The stream after the whole block.
    fn forward(&self, stream: Tensor<3>, context: &Self::Context) -> Tensor<3> {
        (0..self.sublayers()).fold(stream, |stream, index| self.step(index, stream, context))
    }
}

/// Channels inside a sublayer that stand for themselves: channel `c` of the input of a writer depends
/// on output `c` of each of some readers, and on no other. Any of them can be removed: row `c` of the
/// writer, and column `c` of the readers. The hidden layer of an MLP is such; attention heads are not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrunableChannels {
    /// Index among [`Sublayer::writers`].
    pub writer: usize,
    /// Indices among [`Sublayer::readers`].
    pub readers: Vec<usize>,
}

/// The weights of one residual update, by role.
pub struct Sublayer<'a> {
    /// What stands between the stream and the readers.
    pub norm: &'a Norm,
    /// Linears whose input is the normalised stream.
    pub readers: Vec<&'a Linear>,
    /// Linears whose output is added to the stream.
    pub writers: Vec<&'a Linear>,
    /// How the residual itself crosses the sublayer.
    pub shortcut: &'a Shortcut,
}

/// The weights of one residual update, by role, to be rewritten.
pub struct SublayerMut<'a> {
    /// What stands between the stream and the readers.
    pub norm: &'a mut Norm,
    /// Linears whose input is the normalised stream.
    pub readers: Vec<&'a mut Linear>,
    /// Linears whose output is added to the stream.
    pub writers: Vec<&'a mut Linear>,
    /// How the residual itself crosses the sublayer.
    pub shortcut: &'a mut Shortcut,
}
