//! [`cut_block`]: a block in one basis, without a refit.

use slicegpt_core::precise::PreciseMatrix;
use slicegpt_core::{Block, Fused, SublayerMut, read_in, write_in};

use crate::kept::BlockUnits;

/// Expresses `block` in `basis`, the same at every cut, and removes the units that are not in
/// `kept`. The shortcuts stay the identity, because the stream stays in one basis.
pub fn cut_block<B: Block>(block: Fused<B>, basis: &PreciseMatrix, kept: &BlockUnits) -> B {
    let mut block = block.into_inner();
    kept.narrow(&mut block);
    for index in 0..block.sublayers() {
        let SublayerMut { readers, writers, .. } = block.sublayer_mut(index);
        readers.into_iter().for_each(|reader| read_in(reader, basis));
        writers.into_iter().for_each(|writer| write_in(writer, basis));
    }
    block
}
