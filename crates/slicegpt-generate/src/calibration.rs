//! [`sample_sequences`]: calibration data sampled from the model itself, as token ids.

use burn::tensor::activation::softmax;
use burn::tensor::{DType, Tensor};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use slicegpt_core::{Block, Decoder, Observer, TensorSource, TokenBatch};
use slicegpt_models::{Cache, Model};

use crate::sampling::draw;
use crate::script::{Line, Script};

/// Samples `rows` sequences of `tokens` ids at temperature 1 from `model`, as `script` says, in
/// batches of `batch` sequences; row-major, `[rows, tokens]`. Every token of a batch is a step for
/// the observer; `None` if it cancels.
///
/// Holds the whole model in memory, and the KV cache of one batch. All rows share one random number
/// generator: the same seed, `batch` and device give the same ids.
///
/// # Errors
///
/// If the model cannot be read.
///
/// # Panics
///
/// If `tokens` or `batch` is 0.
pub fn sample_sequences<S: TensorSource>(
    model: &Model<S>,
    rows: usize,
    tokens: usize,
    batch: usize,
    script: &Script,
    seed: u64,
    observer: &dyn Observer,
) -> Result<Option<Vec<u32>>, S::Error> {
    let mut random = ChaCha20Rng::seed_from_u64(seed);
    let blocks = (0..model.blocks()).map(|i| model.block(i)).collect::<Result<Vec<_>, _>>()?;
    let head = model.head()?;
    let mut all = Vec::new();
    for start in (0..rows).step_by(batch) {
        let size = batch.min(rows - start);
        let cache = Cache::default();
        let mut lines: Vec<Line<'_>> = (0..size).map(|_| Line::new(script, tokens)).collect();
        for position in 0..tokens - 1 {
            let last = lines.iter().map(|line| line.ids()[position]).collect();
            let (stream, context) =
                model.embed_next(&TokenBatch::new(last, None, 1), position, &cache)?;
            let stream = blocks.iter().fold(stream, |x, block| block.forward(x, &context));
            let drawn = draw_tokens(head.forward(stream), &lines, &mut random);
            lines.iter_mut().zip(drawn).for_each(|(line, id)| line.add(id));
            if observer.step().is_break() {
                return Ok(None);
            }
        }
        lines.iter().for_each(|line| all.extend(line.ids()));
    }
    Ok(Some(all))
}

/// One token for each row of logits, `[rows, 1, vocab_size]`, drawn from their softmax without the
/// tokens that are banned in its line.
fn draw_tokens(logits: Tensor<3>, lines: &[Line<'_>], random: &mut ChaCha20Rng) -> Vec<u32> {
    let [_, _, vocab_size] = logits.dims();
    let mut probabilities: Vec<f32> = softmax(logits, 2)
        .into_data_dtype(DType::F32)
        .try_into_vec()
        .expect("it was just made float32");
    let token = |(row, line): (&mut [f32], &Line<'_>)| {
        for id in line.banned() {
            row.get_mut(*id as usize).into_iter().for_each(|p| *p = 0.0);
        }
        let drawn = draw(row.iter().map(|p| f64::from(*p)), random);
        // Rounding may leave none: then any token with a positive probability will do.
        drawn.or_else(|| row.iter().rposition(|p| *p > 0.0)).unwrap_or(0) as u32
    };
    probabilities.chunks_mut(vocab_size).zip(lines).map(token).collect()
}
