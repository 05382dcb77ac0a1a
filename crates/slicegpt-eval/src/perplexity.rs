//! [`perplexity`], by the protocol of the SliceGPT paper.

use std::ops::ControlFlow;

use burn::tensor::{DType, Int, Tensor, TensorData};
use slicegpt_core::{Decoder, Head, Lanes, TokenBatch};
use slicegpt_kernels::{cross_entropy, is_host_f32};

use crate::error_of_mean::mean_and_error;
use crate::forward::{EvalError, forward, logits_in_pieces};

/// A perplexity, and what it was measured on.
#[derive(Clone, Debug, PartialEq)]
pub struct Perplexity {
    /// `exp` of the mean over sequences of each sequence's mean negative log-likelihood.
    pub perplexity: f64,
    /// Its logarithm: the mean over sequences of each one's mean negative log-likelihood.
    pub nll: f64,
    /// Standard error of [`Perplexity::nll`]; 0 for one sequence.
    pub standard_error: f64,
    /// Labels scored.
    pub tokens: u64,
    /// Sequences scored.
    pub samples: usize,
    /// Tokens per sequence.
    pub seqlen: usize,
}

/// Perplexity of `decoder` on `batches` of equally long sequences, as many batches run at a time as
/// there are `lanes`.
///
/// In each sequence, every token but the first is a label, predicted from those before it. Labels
/// that are padding or come right after it, or equal `ignore_token_id`, do not count (the reference implementation ignores
/// the pad id so). Negative log-likelihoods are averaged within a sequence, then over sequences.
///
/// # Errors
///
/// If the decoder cannot be read, a logit is not finite, or no label is left.
pub fn perplexity<D: Decoder>(
    decoder: &D,
    batches: &[TokenBatch],
    lanes: &Lanes,
    ignore_token_id: Option<u32>,
    tick: &mut dyn FnMut() -> ControlFlow<()>,
) -> Result<Perplexity, EvalError<D::Error>>
where
    D::Error: std::error::Error + 'static,
{
    let vocab_size = decoder.vocab_size();
    let mut means = Vec::new();
    let mut scored = 0;
    forward(decoder, batches, lanes, tick, |batch, stream, head| {
        let [_, tokens] = batch.shape();
        // The label of a position is the token after it; the last position has none, and any id
        // will do.
        let ids = batch.ids();
        let labels: Vec<u32> = (0..ids.len()).map(|i| ids[(i + 1) % ids.len()]).collect();
        let losses = losses(head, stream, &labels, vocab_size);
        for (row, losses) in losses.chunks(tokens).enumerate() {
            let counts = |position: usize| {
                let at = row * tokens + position + 1;
                let seen = batch.mask().is_none_or(|mask| mask[at - 1] && mask[at]);
                seen && Some(ids[at]) != ignore_token_id
            };
            let counted: Vec<f64> = (0..tokens - 1)
                .filter(|position| counts(*position))
                .map(|position| losses[position])
                .collect();
            if counted.iter().any(|loss| !loss.is_finite()) {
                return Err(EvalError::NotFinite);
            }
            if !counted.is_empty() {
                means.push(counted.iter().sum::<f64>() / counted.len() as f64);
                scored += counted.len() as u64;
            }
        }
        Ok(())
    })?;
    if means.is_empty() {
        return Err(EvalError::Nothing);
    }
    let (mean, standard_error) = mean_and_error(&means);
    Ok(Perplexity {
        perplexity: mean.exp(),
        nll: mean,
        standard_error,
        tokens: scored,
        samples: means.len(),
        seqlen: batches[0].shape()[1],
    })
}

/// `-log softmax(logits)[label]` for each token of a stream, `[batch, tokens, width]`.
fn losses(head: &Head, stream: Tensor<3>, labels: &[u32], vocab_size: usize) -> Vec<f64> {
    if is_host_f32(&stream) {
        return cross_entropy(head, stream, labels);
    }
    let mut losses = Vec::with_capacity(labels.len());
    for logits in logits_in_pieces(head, stream, vocab_size) {
        let [rows, _] = logits.dims();
        let labels = &labels[losses.len()..losses.len() + rows];
        losses.extend(losses_of(logits, labels).into_iter().map(f64::from));
    }
    losses
}

/// `-log softmax(logits)[label]` for each row of `[rows, vocab_size]`.
fn losses_of(logits: Tensor<2>, labels: &[u32]) -> Vec<f32> {
    let labels: Vec<i32> = labels.iter().map(|label| *label as i32).collect();
    let labels = TensorData::new(labels, [logits.dims()[0], 1]);
    let labels = Tensor::<2, Int>::from_data(labels, &logits.device());
    let chosen = logits.clone().gather(1, labels);
    let largest = logits.clone().max_dim(1);
    let total = (logits - largest.clone()).exp().sum_dim(1).log() + largest;
    (total - chosen).into_data_dtype(DType::F32).try_into_vec().expect("it was just made float32")
}
