//! [`Tuned`]: a decoder with trained weights in place of its own.

use slicegpt_core::{Block, Decoder, Head, Norm, TokenBatch};

use crate::{Place, Trainable};

/// A decoder whose blocks, last norm and head have the trained weights when they are loaded.
#[derive(Clone, Copy, Debug)]
pub struct Tuned<'a, D> {
    /// The decoder.
    pub decoder: &'a D,
    /// The trained weights.
    pub trainable: &'a Trainable,
}

impl<D: Decoder> Decoder for Tuned<'_, D> {
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

    fn embed(&self, batch: &TokenBatch) -> Result<burn::tensor::Tensor<3>, D::Error> {
        self.decoder.embed(batch)
    }

    fn block(&self, index: usize) -> Result<D::Block, D::Error> {
        let mut block = self.decoder.block(index)?;
        self.trainable.merge(index, &mut block);
        Ok(block)
    }

    fn norm(&self) -> Result<Norm, D::Error> {
        let mut norm = self.decoder.norm()?;
        self.trainable.merge_norm(&mut norm);
        Ok(norm)
    }

    fn head(&self) -> Result<Head, D::Error> {
        let mut head = self.decoder.head()?;
        self.trainable.merge_norm(&mut head.norm);
        if self.trainable.trains(Place::Head) {
            head.linear.weight = head.linear.weight.map(|matrix| self.trainable.head(matrix));
        }
        Ok(head)
    }
}
