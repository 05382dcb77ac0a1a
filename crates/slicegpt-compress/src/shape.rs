//! [`Shape`]: how wide a decoder is after the cut, and [`Dimensions`]: how large it is with a
//! shape.

use slicegpt_core::Widths;

/// What a decoder becomes: the width of everything that is cut.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Shape {
    /// Width of the stream at every cut: after the embedding and after every sublayer.
    pub widths: Widths,
    /// Whether the residual crosses every sublayer through a shortcut matrix, because each cut has
    /// a basis of its own.
    pub shortcuts: bool,
    /// Width of the prunable layers inside the blocks.
    pub intermediate: Intermediate,
    /// Whether the head is the embedding.
    pub tied: bool,
    /// Whether norms are RMSNorms over the width after the cut, as a decoder of the same family has
    /// them. Without, they are bare norms that divide by the width before the cut.
    pub rms_norms: bool,
}

/// Width of the prunable layers inside the blocks: those of the MLPs, in a language model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Intermediate {
    /// As in the dense model.
    Dense,
    /// The same in all blocks.
    Uniform(usize),
    /// A width for each prunable layer, in the order of the decoder.
    Each(Vec<usize>),
}

impl Shape {
    /// A basis at every cut, with shortcut matrices between them; the head is untied.
    pub fn per_layer(widths: Widths) -> Self {
        Self {
            widths,
            shortcuts: true,
            intermediate: Intermediate::Dense,
            tied: false,
            rms_norms: false,
        }
    }

    /// One basis for all cuts of the decoder that `dense` describes.
    ///
    /// # Panics
    ///
    /// If `width` is 0 or above the hidden size.
    pub fn shared(
        dense: &(impl Dimensions + ?Sized),
        width: usize,
        intermediate: Intermediate,
        tied: bool,
    ) -> Self {
        let cuts = 1 + dense.blocks() * dense.sublayers_per_block();
        let widths = Widths::new(vec![width; cuts], cuts, dense.hidden_size());
        let widths = widths.expect("a width between 1 and the hidden size");
        let is_uniform = !matches!(intermediate, Intermediate::Each(_));
        let rms_norms = dense.is_rms_only() && is_uniform;
        Self { widths, shortcuts: false, intermediate, tied, rms_norms }
    }
}

/// The sizes of a dense decoder, and how many parameters it has after a cut.
pub trait Dimensions {
    /// Width of the stream.
    fn hidden_size(&self) -> usize;

    /// The number of blocks.
    fn blocks(&self) -> usize;

    /// The number of sublayers of each block.
    fn sublayers_per_block(&self) -> usize;

    /// The prunable layers, in the order of the decoder: the sublayer, counted through all blocks,
    /// and the width.
    fn prunable_layers(&self) -> Vec<(usize, usize)>;

    /// Width of the widest prunable layer; 0 where there is none.
    fn widest_prunable(&self) -> usize {
        self.prunable_layers().into_iter().map(|(_, width)| width).max().unwrap_or(0)
    }

    /// Whether the head is the embedding.
    fn is_tied(&self) -> bool;

    /// Whether the decoder, cut to one basis, is still one of its family, with RMSNorms. Then
    /// widths of MLPs are equal by default.
    fn is_rms_only(&self) -> bool {
        false
    }

    /// The family asks for a stream whose width is a multiple of this.
    fn width_multiple(&self) -> usize {
        1
    }

    /// Parameters of the dense decoder; a tied head counts once.
    fn dense_parameters(&self) -> u64;

    /// Parameters after a cut.
    fn parameters_of(&self, shape: &Shape) -> u64;
}
