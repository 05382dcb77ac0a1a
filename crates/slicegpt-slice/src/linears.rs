//! The linears of a sublayer in the type it is run in.

use burn::nn::Linear;
use burn::tensor::DType;
use slicegpt_core::{Block, SublayerMut};

/// Casts the linears of a sublayer to the type it is to be run in. Gives the originals, for
/// [`restore`].
pub(crate) fn cast<B: Block>(block: &mut B, index: usize, dtype: DType) -> Vec<Linear> {
    let originals = linears(block, index).map(|linear| linear.clone()).collect();
    for linear in linears(block, index) {
        linear.weight = linear.weight.clone().map(|w| w.cast(dtype));
        linear.bias = linear.bias.take().map(|bias| bias.map(|b| b.cast(dtype)));
    }
    originals
}

/// Undoes [`cast`].
pub(crate) fn restore<B: Block>(block: &mut B, index: usize, originals: Vec<Linear>) {
    linears(block, index).zip(originals).for_each(|(linear, original)| *linear = original);
}

fn linears<B: Block>(block: &mut B, index: usize) -> impl Iterator<Item = &mut Linear> {
    let SublayerMut { readers, writers, .. } = block.sublayer_mut(index);
    readers.into_iter().chain(writers)
}
