//! A whole decoder made of your own blocks, compressed in one basis with a refit, and checked.
//!
//! ```text
//! cargo run --release -p slicegpt-compress --example custom_decoder
//! ```

use std::convert::Infallible;
use std::error::Error;
use std::ops::Range;
use std::sync::Arc;

use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::silu;
use burn::tensor::{Device, Distribution, Tensor, TensorData};
use slicegpt_compress::{
    Counted, Dimensions, InMemory, Plan, Refit, Size, Table, Tables, compress,
};
use slicegpt_core::{
    Block, Decoder, Head, Lanes, Norm, PrunableUnits, Shortcut, Sublayer, SublayerMut, TokenBatch,
    Unobserved, host_vec,
};
use slicegpt_eval::divergence;

const VOCAB_SIZE: usize = 256;
const WIDTH: usize = 64;
const CHANNELS: usize = 160;
const BLOCKS: usize = 4;
const EPS: f64 = 1e-5;

/// A block of one gated MLP.
#[derive(Clone)]
struct Gated {
    norm: Norm,
    gate: Linear,
    up: Linear,
    down: Linear,
    shortcut: Shortcut,
}

impl Block for Gated {
    type Context = ();

    fn sublayers(&self) -> usize {
        1
    }

    fn writer_inputs(&self, _: usize, normed: Tensor<3>, _: &()) -> Vec<Tensor<3>> {
        vec![silu(self.gate.forward(normed.clone())) * self.up.forward(normed)]
    }

    fn sublayer(&self, _: usize) -> Sublayer<'_> {
        Sublayer {
            norm: &self.norm,
            readers: vec![&self.gate, &self.up],
            writers: vec![&self.down],
            shortcut: &self.shortcut,
        }
    }

    fn sublayer_mut(&mut self, _: usize) -> SublayerMut<'_> {
        SublayerMut {
            norm: &mut self.norm,
            readers: vec![&mut self.gate, &mut self.up],
            writers: vec![&mut self.down],
            shortcut: &mut self.shortcut,
        }
    }

    /// Any channel between the readers and the writer can be removed.
    fn prunable(&self, _: usize) -> Vec<PrunableUnits> {
        vec![PrunableUnits::channels(0, [0, 1])]
    }
}

/// A decoder in memory: an embedding table, blocks, a norm and an untied head.
struct Memory {
    embedding: Vec<f32>,
    blocks: Vec<Gated>,
    head: Head,
    device: Device,
}

impl Memory {
    /// Random weights. Most of the energy of the embedding is in a few directions, as in a trained
    /// model.
    fn random(device: &Device) -> Self {
        device.seed(7);
        let linear =
            |inputs, outputs| LinearConfig::new(inputs, outputs).with_bias(false).init(device);
        let normal = |shape| Tensor::<2>::random(shape, Distribution::Normal(0.0, 1.0), device);
        let few = normal([VOCAB_SIZE, 12]).matmul(normal([12, WIDTH]));
        let gain: Vec<f64> = (0..WIDTH).map(|i| 0.5 + i as f64 / WIDTH as f64).collect();
        let rms_norm = || Norm::bare(WIDTH, EPS).with_weight(&gain, device);
        let block = |_| Gated {
            norm: rms_norm(),
            gate: linear(WIDTH, CHANNELS),
            up: linear(WIDTH, CHANNELS),
            down: linear(CHANNELS, WIDTH),
            shortcut: Shortcut::identity(),
        };
        Self {
            embedding: host_vec(few + normal([VOCAB_SIZE, WIDTH]).mul_scalar(0.2)),
            blocks: (0..BLOCKS).map(block).collect(),
            head: Head { norm: rms_norm(), linear: linear(WIDTH, VOCAB_SIZE) },
            device: device.clone(),
        }
    }

    /// A decoder from the parts of a compressed one; `None` if they are incomplete.
    fn of(parts: InMemory<Gated>, device: &Device) -> Option<Self> {
        let head = parts.to_head(device)?;
        let (embedding, blocks) = (parts.embedding, parts.blocks);
        Some(Self { embedding, blocks, head, device: device.clone() })
    }
}

impl Decoder for Memory {
    type Block = Gated;
    type Error = Infallible;

    fn blocks(&self) -> usize {
        self.blocks.len()
    }

    fn sublayers_per_block(&self) -> usize {
        1
    }

    fn vocab_size(&self) -> usize {
        VOCAB_SIZE
    }

    fn context(&self, _: &TokenBatch) {}

    fn embed(&self, batch: &TokenBatch) -> Result<Tensor<3>, Infallible> {
        let [sequences, tokens] = batch.shape();
        let width = self.embedding.len() / VOCAB_SIZE;
        let row = |id: &u32| &self.embedding[*id as usize * width..][..width];
        let values: Vec<f32> = batch.ids().iter().flat_map(row).copied().collect();
        let data = TensorData::new(values, [sequences, tokens, width]);
        Ok(Tensor::from_data(data, &self.device))
    }

    fn block(&self, index: usize) -> Result<Gated, Infallible> {
        Ok(self.blocks[index].clone())
    }

    fn norm(&self) -> Result<Norm, Infallible> {
        Ok(self.head.norm.clone())
    }

    fn head(&self) -> Result<Head, Infallible> {
        Ok(self.head.clone())
    }
}

/// What a compression needs in addition to [`Decoder`]: the rows of the tables.
impl Tables for Memory {
    fn device(&self) -> Device {
        self.device.clone()
    }

    fn is_tied(&self) -> bool {
        false
    }

    fn rows(&self, table: Table, rows: Range<usize>) -> Result<Vec<f32>, Infallible> {
        let range = rows.start * WIDTH..rows.end * WIDTH;
        Ok(match table {
            Table::Head => {
                let matrix = self.head.linear.weight.val().transpose();
                host_vec(matrix.slice([rows, 0..WIDTH]))
            }
            Table::Embedding | Table::Positions => self.embedding[range].to_vec(),
        })
    }

    fn dimensions(&self) -> Result<Box<dyn Dimensions + '_>, Infallible> {
        Ok(Box::new(Counted::of(self)?))
    }
}

/// Cuts the dense decoder to 80 % of its parameters. Returns its KL divergence from the dense one
/// on other tokens, in nats per token.
fn cut(
    dense: &Memory,
    tokens: &TokenBatch,
    others: &TokenBatch,
    refit: Option<Refit>,
) -> Result<f64, Box<dyn Error>> {
    let plan = Plan { size: Some(Size::KeepParams(0.8)), refit, ..Plan::default() };
    let mut parts = InMemory::default();
    let done = compress(dense, tokens, &plan, &mut parts, Arc::new(Unobserved))?;
    let sizes = dense.dimensions()?;
    let [before, after] = [sizes.dense_parameters(), sizes.parameters_of(&done.shape)];
    let kept = after as f64 / before as f64;
    assert!((kept - 0.8).abs() < 0.01, "{kept} of the parameters");
    let small = Memory::of(parts, &dense.device).ok_or("the compression is complete")?;
    let batches = std::slice::from_ref(others);
    let found = divergence(dense, &small, batches, &Lanes::default(), &Unobserved)?;
    println!(
        "stream {} of {WIDTH}, {after} of {before} parameters: KL {:.4} nats per token, {:.0} % of \
         the most likely tokens are the same",
        done.shape.widths.head(),
        found.mean,
        100.0 * found.agreement
    );
    Ok(found.mean)
}

fn main() -> Result<(), Box<dyn Error>> {
    let dense = Memory::random(&Device::flex());
    let tokens = |seed: u32, sequences: u32| {
        let id = |i: u32| (i.wrapping_add(seed).wrapping_mul(2_654_435_761) >> 20) % 256;
        TokenBatch::new((0..sequences * 64).map(id).collect(), None, 64)
    };
    let (calibration, others) = (tokens(0, 32), tokens(100_000, 8));
    let plain = cut(&dense, &calibration, &others, Some(Refit::None))?;
    let refitted = cut(&dense, &calibration, &others, None)?;
    assert!(refitted < plain, "a refit brings the decoder nearer to the dense one");
    println!("the refit takes away {:.0} % of the divergence", 100.0 * (1.0 - refitted / plain));
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_example_runs() {
        super::main().unwrap();
    }
}
