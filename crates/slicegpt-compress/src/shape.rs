//! [`Shape`]: how wide a decoder is after the cut, and [`Dimensions`]: how large it is with a
//! shape.

use slicegpt_core::{Axis, Widths};

use crate::Split;

/// What a decoder becomes: the width of everything that is cut.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Shape {
    /// Width of the stream at every cut: after the embedding and after every sublayer.
    pub widths: Widths,
    /// Whether the residual crosses every sublayer through a shortcut matrix, because each cut has
    /// a basis of its own.
    pub shortcuts: bool,
    /// Width of the MLPs.
    pub intermediate: Intermediate,
    /// Groups of heads of every attention, each with its key head; `None`: as in the dense model.
    pub heads: Option<usize>,
    /// The blocks of the dense model that are removed, ascending. The first one always stays.
    pub removed: Vec<usize>,
    /// Whether the head is the embedding.
    pub tied: bool,
    /// Whether norms are RMSNorms over the width after the cut, as a decoder of the same family has
    /// them. Without, they are bare norms that divide by the width before the cut.
    pub rms_norms: bool,
}

/// Width of the MLPs: the number of units on [`Axis::Mlp`] that stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Intermediate {
    /// As in the dense model.
    Dense,
    /// The same in all blocks.
    Uniform(usize),
    /// A width for each MLP that stays, in the order of the decoder.
    Each(Vec<usize>),
}

impl Shape {
    /// A basis at every cut, with shortcut matrices between them; the head is untied.
    pub fn per_layer(widths: Widths) -> Self {
        Self {
            widths,
            shortcuts: true,
            intermediate: Intermediate::Dense,
            heads: None,
            removed: Vec::new(),
            tied: false,
            rms_norms: false,
        }
    }

    /// One basis for all cuts of the decoder that `dense` describes, without the blocks `removed`.
    /// The width of the MLPs is `intermediate`, not that of the split.
    ///
    /// # Panics
    ///
    /// If the width of the stream is 0 or above the hidden size, or there are not as many blocks
    /// left as the split says.
    pub fn shared(
        dense: &(impl Dimensions + ?Sized),
        split: Split,
        removed: Vec<usize>,
        intermediate: Intermediate,
        tied: bool,
    ) -> Self {
        assert_eq!(dense.blocks() - removed.len(), split.layers, "blocks that stay");
        let cuts = 1 + split.layers * dense.sublayers_per_block();
        let widths = Widths::new(vec![split.width; cuts], cuts, dense.hidden_size());
        let widths = widths.expect("a width between 1 and the hidden size");
        let is_uniform = !matches!(intermediate, Intermediate::Each(_));
        let rms_norms = dense.is_rms_only() && is_uniform;
        let heads = (split.heads < dense.widest(Axis::Heads)).then_some(split.heads);
        Self { widths, shortcuts: false, intermediate, heads, removed, tied, rms_norms }
    }

    /// The shape of a split; with free MLP widths, as if they were equal, and with blocks to be
    /// removed, as if they were the last.
    pub fn of_split(dense: &dyn Dimensions, split: Split, tied: bool, free: bool) -> Self {
        let removed: Vec<usize> = (split.layers..dense.blocks()).collect();
        let intermediate = if free {
            let per_block = dense.sublayers_per_block();
            let layers = dense.prunable_layers().into_iter().filter(|layer| {
                layer.axis == Axis::Mlp && layer.sublayer / per_block < split.layers
            });
            Intermediate::Each(layers.map(|_| split.intermediate).collect())
        } else {
            Intermediate::Uniform(split.intermediate)
        };
        Self::shared(dense, split, removed, intermediate, tied)
    }

    /// The blocks of a dense model of `blocks` blocks that stay, ascending.
    pub fn kept_blocks(&self, blocks: usize) -> Vec<usize> {
        (0..blocks).filter(|block| self.removed.binary_search(block).is_err()).collect()
    }
}

/// A group of prunable units of a decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrunableLayer {
    /// The sublayer, counted through all blocks.
    pub sublayer: usize,
    /// The axis of its units.
    pub axis: Axis,
    /// The number of its units.
    pub units: usize,
}

/// The sizes of a dense decoder, and how many parameters it has after a cut.
pub trait Dimensions {
    /// Width of the stream.
    fn hidden_size(&self) -> usize;

    /// The number of blocks.
    fn blocks(&self) -> usize;

    /// The number of sublayers of each block.
    fn sublayers_per_block(&self) -> usize;

    /// The groups of prunable units, in the order of the decoder.
    fn prunable_layers(&self) -> Vec<PrunableLayer>;

    /// The number of units of the largest group of an axis; 0 where there is none.
    fn widest(&self, axis: Axis) -> usize {
        let layers = self.prunable_layers().into_iter().filter(|layer| layer.axis == axis);
        layers.map(|layer| layer.units).max().unwrap_or(0)
    }

    /// Whether all blocks have the same size. Otherwise blocks are not removed.
    fn has_equal_blocks(&self) -> bool {
        true
    }

    /// Whether the head is the embedding.
    fn is_tied(&self) -> bool;

    /// Whether the decoder, cut to one basis, is still one of its family, with RMSNorms. Then
    /// widths of MLPs are equal by default.
    fn is_rms_only(&self) -> bool {
        false
    }

    /// With this many groups of heads, the family asks for a stream whose width is a multiple of
    /// this.
    fn width_multiple(&self, heads: usize) -> usize {
        let _ = heads;
        1
    }

    /// What the width of the stream must be a multiple of with so many groups of heads, or else the
    /// family refuses it.
    fn required_multiple(&self, heads: usize) -> usize {
        let _ = heads;
        1
    }

    /// Parameters of the dense decoder; a tied head counts once.
    fn dense_parameters(&self) -> u64;

    /// Parameters after a cut.
    fn parameters_of(&self, shape: &Shape) -> u64;

    /// Parameters of the shape of a split, as [`Shape::of_split`] makes it. Plans ask for it
    /// thousands of times.
    fn parameters_of_split(&self, split: Split, tied: bool, free: bool) -> u64;
}
