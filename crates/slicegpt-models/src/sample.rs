//! [`sample`]: text from the model itself, as token ids.

use std::ops::ControlFlow;

use burn::tensor::activation::softmax;
use burn::tensor::{DType, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use slicegpt_core::{Block, Decoder, TensorSource, TokenBatch};

use crate::{Cache, Model};

/// Samples `rows` sequences of `tokens` ids at temperature 1 from `model`, each beginning with
/// `first`, in groups of `batch` sequences; row-major, `[rows, tokens]`. `None` if `tick`, called
/// after every token of a group, breaks.
///
/// The whole model is held in memory, and a cache of the keys and values of one group.
///
/// # Errors
///
/// If the model cannot be read.
///
/// # Panics
///
/// If `tokens` or `batch` is 0.
pub fn sample<S: TensorSource>(
    model: &Model<S>,
    rows: usize,
    tokens: usize,
    batch: usize,
    first: u32,
    seed: u64,
    tick: &mut dyn FnMut() -> ControlFlow<()>,
) -> Result<Option<Vec<u32>>, S::Error> {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let blocks = (0..model.blocks()).map(|i| model.block(i)).collect::<Result<Vec<_>, _>>()?;
    let head = model.head()?;
    let mut all = Vec::new();
    for start in (0..rows).step_by(batch) {
        let group = batch.min(rows - start);
        let cache = Cache::default();
        let mut sequences = vec![vec![first]; group];
        for position in 0..tokens - 1 {
            let last = sequences.iter().map(|ids| ids[position]).collect();
            let (stream, context) =
                model.embed_next(&TokenBatch::new(last, None, 1), position, &cache)?;
            let stream = blocks.iter().fold(stream, |x, block| block.forward(x, &context));
            let chosen = choose(head.forward(stream), &mut rng);
            sequences.iter_mut().zip(chosen).for_each(|(ids, id)| ids.push(id));
            if tick().is_break() {
                return Ok(None);
            }
        }
        all.extend(sequences.into_iter().flatten());
    }
    Ok(Some(all))
}

/// One id for each row of `[rows, 1, vocab_size]`, drawn with the probabilities of its logits.
fn choose(logits: Tensor<3>, rng: &mut ChaCha20Rng) -> Vec<u32> {
    let [_, _, vocab_size] = logits.dims();
    let probabilities: Vec<f32> = softmax(logits, 2)
        .into_data_dtype(DType::F32)
        .try_into_vec()
        .expect("it was just made float32");
    probabilities
        .chunks(vocab_size)
        .map(|row| {
            let mut left: f64 =
                rng.random::<f64>() * row.iter().map(|p| f64::from(*p)).sum::<f64>();
            let chosen = row.iter().position(|p| {
                left -= f64::from(*p);
                left < 0.0
            });
            // Rounding may leave a crumb after the last: any id with a chance will do.
            chosen.or_else(|| row.iter().rposition(|p| *p > 0.0)).unwrap_or(0) as u32
        })
        .collect()
}
