//! [`Fused`]: the proof that a block's norms are bare.

use crate::Block;

/// A block whose norms are all bare, so that its stream may be rotated and cut.
///
/// Slicing takes this type, so that slicing an unfused block does not compile. The only constructor
/// checks the norms.
#[derive(Clone, Debug)]
pub struct Fused<B>(B);

impl<B: Block> Fused<B> {
    /// Checks that every norm of `block` is bare, and wraps the block.
    ///
    /// # Errors
    ///
    /// Returns the block if a norm still centres the stream or still has a weight or a bias.
    pub fn new(block: B) -> Result<Self, B> {
        let bare = (0..block.sublayers()).all(|index| block.sublayer(index).norm.is_bare());
        if bare { Ok(Self(block)) } else { Err(block) }
    }

    /// The block.
    pub fn get(&self) -> &B {
        &self.0
    }

    /// The block, without the proof.
    pub fn into_inner(self) -> B {
        self.0
    }
}
