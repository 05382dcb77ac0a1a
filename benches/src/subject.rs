//! [`Subject`]: the decoder, of any width, whose blocks are measured. It knows nothing
//! about the kernels.

use std::convert::Infallible;
use std::ops::Range;

use burn::tensor::{Device, Tensor, TensorData};
use slicegpt_core::{Decoder, TensorSource};
use slicegpt_models::{DecoderBlock, DecoderSpec, Model, Positions, QUERIES, SUPPORTED};
use slicegpt_testkit::ToySource;

use crate::Work;
use crate::work::product;

/// Width of a head.
const HEAD: usize = 64;

/// A decoder with random weights on a device, in the proportions of its family.
pub struct Subject {
    /// The decoder.
    pub model: Model<Source>,
}

impl Subject {
    /// A decoder of this width and number of blocks, for sequences of up to `tokens` tokens.
    ///
    /// # Panics
    ///
    /// If the width is not a multiple of 64.
    pub fn new(width: usize, blocks: usize, tokens: usize, device: &Device) -> Self {
        assert_eq!(width % HEAD, 0, "whole heads");
        // The first family of the zoo has the shape of most others: two sublayers, a gated MLP,
        // rotary positions.
        let mut spec = slicegpt_testkit::spec(SUPPORTED[0]);
        spec.hidden_size = width;
        spec.mlp.intermediate_size = (width * 8 / 3).div_ceil(HEAD) * HEAD;
        spec.attention.heads = width / HEAD;
        spec.attention.kv_heads = width / HEAD;
        spec.attention.head_dim = HEAD;
        spec.attention.windows = vec![None; blocks];
        spec.layers = blocks;
        spec.context_length = tokens;
        if let Positions::Rotary(rope) = &mut spec.positions {
            rope.dim = HEAD;
        }
        let source = Source { toy: ToySource { seed: 1 }, width };
        Self { model: Model::new(spec, source, device.clone()) }
    }

    /// The specification of the decoder.
    pub fn spec(&self) -> &DecoderSpec {
        self.model.spec()
    }

    /// The blocks, loaded.
    pub fn blocks(&self) -> Vec<DecoderBlock> {
        let block = |index| self.model.block(index).unwrap_or_else(|never| match never {});
        (0..self.model.blocks()).map(block).collect()
    }

    /// For each sublayer, the total width that its readers write and the total width that its
    /// writers read.
    pub fn ports(&self) -> [[usize; 2]; 2] {
        let (width, inner) = (self.spec().hidden_size, self.spec().mlp.intermediate_size);
        [[3 * width, width], [2 * inner, inner]]
    }

    /// Number of weights in the linears of a block.
    pub fn parameters(&self) -> usize {
        let columns: usize = self.ports().as_flattened().iter().sum();
        self.spec().hidden_size * columns
    }

    /// The attention of `batch` sequences of `tokens` tokens after `past` cached ones.
    pub fn attention(&self, batch: usize, past: usize, tokens: usize) -> Work {
        let seen = |start: usize| {
            let queries = QUERIES.min(tokens - start);
            queries * (past + start + queries)
        };
        let pairs: usize = (0..tokens).step_by(QUERIES).map(seen).sum();
        Work::float32(2.0 * product(batch, pairs, self.spec().hidden_size))
    }

    /// The forward of one block.
    pub fn forward(&self, batch: usize, past: usize, tokens: usize) -> Work {
        let linears = product(batch * tokens, 1, self.parameters());
        let numbers = self.parameters()
            + 2 * batch * tokens * self.spec().hidden_size
            + 2 * batch * past * self.spec().hidden_size;
        Work::float32(linears)
            + self.attention(batch, past, tokens)
            + Work::bytes(4.0 * numbers as f64)
    }
}

/// A signal of independent normal numbers, the same on every device.
pub(crate) fn signal(batch: usize, tokens: usize, width: usize, device: &Device) -> Tensor<3> {
    let shape = [batch, tokens, width];
    let Ok(values) = ToySource { seed: 2 }.tensor("signal", &shape);
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Random weights of the size of trained ones. With larger ones, a softmax would be almost a
/// maximum, which a rounding error may move.
#[derive(Clone, Debug)]
pub struct Source {
    toy: ToySource,
    width: usize,
}

impl Source {
    fn tame(&self, name: &str, mut values: Vec<f32>) -> Vec<f32> {
        if !name.contains("norm") {
            let factor = 3.0 / (self.width as f32).sqrt();
            values.iter_mut().for_each(|value| *value *= factor);
        }
        values
    }
}

impl TensorSource for Source {
    type Error = Infallible;

    fn contains(&self, name: &str) -> bool {
        self.toy.contains(name)
    }

    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Infallible> {
        self.toy.tensor(name, shape).map(|values| self.tame(name, values))
    }

    fn rows(
        &self,
        name: &str,
        shape: [usize; 2],
        rows: Range<usize>,
    ) -> Result<Vec<f32>, Infallible> {
        self.toy.rows(name, shape, rows).map(|values| self.tame(name, values))
    }

    fn gather(
        &self,
        name: &str,
        shape: [usize; 2],
        indices: &[u32],
    ) -> Result<Vec<f32>, Infallible> {
        self.toy.gather(name, shape, indices).map(|values| self.tame(name, values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The counted weights are those of the model.
    #[test]
    fn ports_are_those_of_the_blocks() {
        use slicegpt_core::Block;
        let subject = Subject::new(128, 1, 16, &Device::flex());
        let block = subject.blocks().remove(0);
        let mut found = 0;
        for index in 0..block.sublayers() {
            let sublayer = block.sublayer(index);
            let linears = sublayer.readers.into_iter().chain(sublayer.writers);
            let count = |linear: &burn::nn::Linear| linear.weight.dims().iter().product::<usize>();
            found += linears.map(count).sum::<usize>();
        }
        assert_eq!(found, subject.parameters());
    }
}
