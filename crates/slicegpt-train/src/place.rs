//! [`Place`]: a weight of a decoder, by block, sublayer and role.

use slicegpt_core::Role;

/// A weight of a decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// A weight of a block.
    Block {
        /// The number of the block.
        block: usize,
        /// The number of the sublayer in the block.
        sublayer: usize,
        /// Which of its weights.
        role: Role,
    },
    /// The weight of the norm before the head.
    LastNorm,
    /// The bias of the norm before the head.
    LastNormBias,
    /// The matrix of the head, `[width, vocab_size]`.
    Head,
}

/// A trained tensor of a weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Factor {
    /// The weight itself; a vector is a matrix of one row.
    Whole,
    /// The first factor of a low-rank correction, `[inputs, rank]`.
    A,
    /// The second one, `[rank, outputs]`.
    B,
}

/// A trained tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The weight that it belongs to.
    pub place: Place,
    /// What it is to this weight.
    pub factor: Factor,
}
