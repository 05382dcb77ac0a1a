//! [`Rotated`]: a decoder fused and rotated as it is read, to show that it is the same decoder.

use burn::tensor::Tensor;
use burn::tensor::module::linear;
use slicegpt_core::{Basis, Block, Decoder, Head, Norm, TokenBatch, read_in};

use crate::{center, fold_into_head, fuse, rotate};

/// A decoder whose blocks are fused and rotated when they are asked for; its logits are those of
/// the decoder within rounding. One block is rewritten at a time.
pub struct Rotated<'a, D, F> {
    decoder: &'a D,
    basis: F,
}

impl<'a, D: Decoder, F: Fn(usize) -> Basis> Rotated<'a, D, F> {
    /// `decoder`, its stream expressed in `basis(cut)` at every cut: full-rank bases, the same on
    /// every call.
    pub fn new(decoder: &'a D, basis: F) -> Self {
        Self { decoder, basis }
    }
}

impl<D: Decoder, F: Fn(usize) -> Basis> Decoder for Rotated<'_, D, F> {
    type Block = D::Block;
    type Error = D::Error;

    fn blocks(&self) -> usize {
        self.decoder.blocks()
    }

    fn sublayers_per_block(&self) -> usize {
        self.decoder.sublayers_per_block()
    }

    fn vocab_size(&self) -> usize {
        self.decoder.vocab_size()
    }

    fn context(&self, batch: &TokenBatch) -> <D::Block as Block>::Context {
        self.decoder.context(batch)
    }

    fn embed(&self, batch: &TokenBatch) -> Result<Tensor<3>, D::Error> {
        let stream = center(&self.decoder.norm()?, self.decoder.embed(batch)?);
        let columns = (self.basis)(0).to(&stream.device(), stream.dtype());
        Ok(linear(stream, columns, None))
    }

    fn block(&self, index: usize) -> Result<Self::Block, D::Error> {
        let block = fuse(self.decoder.block(index)?);
        let depth = self.sublayers_per_block();
        let bases: Vec<Basis> =
            (index * depth..=(index + 1) * depth).map(|cut| (self.basis)(cut)).collect();
        Ok(rotate(block, &bases).into_inner())
    }

    fn head(&self) -> Result<Head, D::Error> {
        let mut head = self.decoder.head()?;
        fold_into_head(&mut head);
        let device = head.linear.weight.val().device();
        let basis = (self.basis)(self.blocks() * self.sublayers_per_block());
        read_in(&mut head.linear, &basis.on(&device));
        Ok(head)
    }

    fn norm(&self) -> Result<Norm, D::Error> {
        let norm = self.decoder.norm()?;
        Ok(Norm::bare(norm.hidden_size, norm.eps))
    }
}
