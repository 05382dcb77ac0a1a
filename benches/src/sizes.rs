//! [`Sizes`]: how large the kernels are. It refuses to know what they do.

/// The widths, batches and lengths that are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Widths of the stream that covariances are summed and decomposed at.
    pub analysis: &'static [usize],
    /// Tokens of a covariance.
    pub tokens: usize,
    /// Widths of the blocks whose norms are folded.
    pub fuse: &'static [usize],
    /// Widths of the blocks that are sliced.
    pub slice: &'static [usize],
    /// Sequences and tokens each that a block is sliced on.
    pub calibration: [usize; 2],
    /// Widths of the blocks that are run.
    pub forward: &'static [usize],
    /// Sequences run at once.
    pub batches: &'static [usize],
    /// Tokens of a prefill.
    pub prompt: usize,
    /// Tokens seen before the one that is decoded.
    pub past: usize,
    /// Blocks a token is decoded through: together larger than the caches of a processor, as those of
    /// a model are.
    pub blocks: usize,
}

impl Sizes {
    /// What a device of any speed does in minutes.
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

    /// Up to the width of a model of a billion parameters.
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
