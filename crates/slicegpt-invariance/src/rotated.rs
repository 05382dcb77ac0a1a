//! [`Rotated`]: a decoder whose parts are fused and rotated as they are loaded.

use burn::tensor::Tensor;
use burn::tensor::module::linear;
use slicegpt_core::{Basis, Block, Decoder, Head, Norm, TokenBatch, read_in};

use crate::{center, fold_into_head, fuse, rotate};

/// A decoder that fuses and rotates the parts of another one as they are loaded. Its logits are
/// those of the other, up to rounding.
pub struct Rotated<'a, D, F> {
    decoder: &'a D,
    basis: F,
}

impl<'a, D: Decoder, F: Fn(usize) -> Basis> Rotated<'a, D, F> {
    /// `decoder`, with its stream expressed in `basis(cut)` at every cut. The bases have full rank,
    /// and `basis` gives the same one on every call.
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
        let sublayers = self.sublayers_per_block();
        let cuts = index * sublayers..=(index + 1) * sublayers;
        let bases: Vec<Basis> = cuts.map(|cut| (self.basis)(cut)).collect();
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
