//! [`DenseStep`]: the dense stream after a sublayer, computed or known.

use burn::tensor::Tensor;
use slicegpt_core::Block;

use crate::dense_streams::DenseStreams;
use crate::error::Place;

/// Whether the dense stream has already been carried through a sublayer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Dense {
    Before,
    After,
}

/// How the dense stream gets through the sublayer at `place` of `block`.
pub(super) struct DenseStep<'a, B> {
    pub block: &'a B,
    pub place: Place,
    pub stream: Dense,
    /// What other passes have computed.
    pub known: Option<&'a DenseStreams>,
}

impl<B: Block> DenseStep<'_, B> {
    /// The dense signal of batch `number` after the sublayer.
    pub fn after(&self, signal: Tensor<3>, context: &B::Context, number: usize) -> Tensor<3> {
        let step = |signal| self.block.step(self.place.sublayer, signal, context);
        match (self.stream, self.known) {
            (Dense::After, _) => signal,
            (Dense::Before, None) => step(signal),
            (Dense::Before, Some(known)) => known.after(self.place, number, || step(signal)),
        }
    }
}
