//! [`Sizes`]: how large the kernels are. It does not know what they do.

/// The widths, batches and lengths that are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Stream widths of covariances and eigendecompositions.
    pub analysis: &'static [usize],
    /// Number of tokens of a covariance.
    pub tokens: usize,
    /// Widths of the blocks whose norms are folded.
    pub fuse: &'static [usize],
    /// Widths of the blocks that are sliced.
    pub slice: &'static [usize],
    /// Number of sequences, and of tokens in each, on which a block is sliced.
    pub calibration: [usize; 2],
    /// Widths of the blocks that are run.
    pub forward: &'static [usize],
    /// Batch sizes.
    pub batches: &'static [usize],
    /// Number of tokens of a prefill.
    pub prompt: usize,
    /// Number of tokens in the KV cache when a token is decoded.
    pub past: usize,
    /// Number of blocks that a token is decoded through: together larger than the caches of a CPU,
    /// as the blocks of a model are.
    pub blocks: usize,
}

impl Sizes {
    /// Sizes that every device runs in minutes.
    pub const QUICK: Self = Self {
        analysis: &[256, 768],
        tokens: 2048,
        fuse: &[768],
        slice: &[256],
        calibration: [4, 128],
        forward: &[256, 768],
        batches: &[1, 8],
        prompt: 128,
        past: 32,
        blocks: 4,
    };

    /// Sizes up to the width of a model with a billion parameters.
    pub const FULL: Self = Self {
        analysis: &[256, 768, 1536],
        fuse: &[768, 1536],
        slice: &[256, 768],
        calibration: [4, 512],
        forward: &[256, 768, 1536],
        prompt: 512,
        past: 128,
        ..Self::QUICK
    };
}
