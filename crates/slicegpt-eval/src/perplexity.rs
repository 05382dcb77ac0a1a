//! [`perplexity`], by the protocol of the SliceGPT paper.

use burn::tensor::{DType, Int, Tensor, TensorData};
use slicegpt_core::{Decoder, Head, Lanes, Observer, TokenBatch};
use slicegpt_kernels::{cross_entropy, is_host_f32};

use crate::forward::{EvalError, forward, logits_in_pieces};
use crate::standard_error::mean_and_error;

/// A perplexity, and the size of the text it was measured on.
#[derive(Clone, Debug, PartialEq)]
pub struct Perplexity {
    /// `exp` of the mean over sequences of each sequence's mean negative log-likelihood.
    pub perplexity: f64,
    /// Its logarithm: the mean over sequences of each sequence's mean negative log-likelihood.
    pub nll: f64,
    /// Standard error of [`Perplexity::nll`]; 0 for one sequence.
    pub standard_error: f64,
    /// The number of labels scored.
    pub tokens: u64,
    /// The number of sequences scored.
    pub samples: usize,
    /// Tokens per sequence.
    pub seqlen: usize,
}

/// Perplexity of `decoder` on `batches` of equally long sequences, of which as many are run at a
/// time as there are `lanes`.
///
/// In each sequence, every token but the first is a label, predicted from those before it. Labels
/// that are padding or come right after padding do not count, nor do those that equal
/// `ignore_token_id` (as the reference implementation ignores the id of padding). Negative
/// log-likelihoods are averaged within a sequence, then over sequences.
///
/// # Errors
///
/// If the decoder cannot be read, a logit is not finite, or no label is left.
pub fn perplexity<D: Decoder>(
    decoder: &D,
    batches: &[TokenBatch],
    lanes: &Lanes,
    ignore_token_id: Option<u32>,
    observer: &dyn Observer,
) -> Result<Perplexity, EvalError<D::Error>>
where
    D::Error: std::error::Error + 'static,
{
    let vocab_size = decoder.vocab_size();
    let mut sum = PerplexitySum::new(ignore_token_id);
    forward(decoder, batches, lanes, observer, |batch, stream, head| {
        let is_finite = sum.add(batch, head, stream, vocab_size);
        if is_finite { Ok(()) } else { Err(EvalError::NotFinite) }
    })?;
    sum.finish().ok_or(EvalError::Nothing)
}

/// The number of labels that [`perplexity`] scores in `batches`.
pub fn labels(batches: &[TokenBatch], ignore_token_id: Option<u32>) -> u64 {
    let of_batch = |batch: &TokenBatch| {
        let [rows, _] = batch.shape();
        (0..rows).map(|row| positions(batch, row, ignore_token_id).count() as u64).sum::<u64>()
    };
    batches.iter().map(of_batch).sum()
}

/// The sums over the sequences scored so far.
pub(crate) struct PerplexitySum {
    ignore_token_id: Option<u32>,
    means: Vec<f64>,
    scored: u64,
    seqlen: usize,
}

impl PerplexitySum {
    /// No sequence yet. Labels equal to `ignore_token_id` will not count.
    pub(crate) fn new(ignore_token_id: Option<u32>) -> Self {
        Self { ignore_token_id, means: Vec::new(), scored: 0, seqlen: 0 }
    }

    /// Scores a batch from its final stream, `[batch, tokens, width]`. Returns `false` if a loss is
    /// not finite.
    #[must_use]
    pub(crate) fn add(
        &mut self,
        batch: &TokenBatch,
        head: &Head,
        stream: Tensor<3>,
        vocab_size: usize,
    ) -> bool {
        let [_, tokens] = batch.shape();
        self.seqlen = tokens;
        // The label of a position is the token after it. The last position has none: it gets an
        // arbitrary label, and its loss is not used.
        let ids = batch.ids();
        let labels: Vec<u32> = (0..ids.len()).map(|i| ids[(i + 1) % ids.len()]).collect();
        let losses = losses(head, stream, &labels, vocab_size);
        for (row, losses) in losses.chunks(tokens).enumerate() {
            let counted = counted(batch, row, losses, self.ignore_token_id);
            if counted.iter().any(|loss| !loss.is_finite()) {
                return false;
            }
            if !counted.is_empty() {
                self.means.push(counted.iter().sum::<f64>() / counted.len() as f64);
                self.scored += counted.len() as u64;
            }
        }
        true
    }

    /// The result; `None` if no label counted.
    pub(crate) fn finish(&self) -> Option<Perplexity> {
        let samples = self.means.len();
        let (nll, standard_error) = mean_and_error(&self.means);
        (samples > 0).then(|| Perplexity {
            perplexity: nll.exp(),
            nll,
            standard_error,
            tokens: self.scored,
            samples,
            seqlen: self.seqlen,
        })
    }
}

/// The losses of a sequence whose labels count, from those of all its positions.
fn counted(
    batch: &TokenBatch,
    row: usize,
    losses: &[f64],
    ignore_token_id: Option<u32>,
) -> Vec<f64> {
    positions(batch, row, ignore_token_id).map(|position| losses[position]).collect()
}

/// The positions of a sequence whose labels, the tokens after them, count.
fn positions(
    batch: &TokenBatch,
    row: usize,
    ignore_token_id: Option<u32>,
) -> impl Iterator<Item = usize> {
    let [_, tokens] = batch.shape();
    (0..tokens - 1).filter(move |position| {
        let label = row * tokens + position + 1;
        let kept = batch.mask().is_none_or(|mask| mask[label - 1] && mask[label]);
        kept && Some(batch.ids()[label]) != ignore_token_id
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

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;
    use burn::module::Param;
    use burn::nn::Linear;
    use burn::tensor::{Device, Distribution};
    use slicegpt_core::Norm;

    use super::*;

    const LOSSES: [f64; 5] = [1.0, 2.0, 3.0, 4.0, f64::NAN];

    #[test]
    fn the_last_position_has_no_label() {
        let batch = TokenBatch::new(vec![5; 5], None, 5);
        assert_eq!(counted(&batch, 0, &LOSSES, None), LOSSES[..4]);
    }

    #[test]
    fn padding_and_the_label_after_it_do_not_count() {
        // The second of two sequences has padding at both ends.
        let mask = vec![true, true, true, true, true, false, true, true, true, false];
        let batch = TokenBatch::new(vec![5; 10], Some(mask), 5);
        assert_eq!(counted(&batch, 1, &LOSSES, None), [2.0, 3.0]);
    }

    #[test]
    fn ignored_labels_do_not_count_but_predict_the_next() {
        let batch = TokenBatch::new(vec![9, 5, 9, 5, 5], None, 5);
        assert_eq!(counted(&batch, 0, &LOSSES, Some(9)), [1.0, 3.0, 4.0]);
        let short = TokenBatch::new(vec![5, 9], None, 1);
        assert_eq!((labels(&[batch.clone(), batch], Some(9)), labels(&[short], None)), (6, 0));
    }

    #[test]
    fn a_head_of_zeros_predicts_every_token_alike() {
        let device = Device::flex();
        let stream = Tensor::<3>::random([2, 3, 4], Distribution::Default, &device);
        // By the kernel, and by Burn.
        for dtype in [DType::F32, DType::F64] {
            let weight = Tensor::<2>::zeros([4, 40], (&device, dtype));
            let linear = Linear { weight: Param::from_tensor(weight), bias: None };
            let head = Head { norm: Norm::bare(4, 1e-5), linear };
            for loss in losses(&head, stream.clone().cast(dtype), &[0, 1, 2, 3, 38, 39], 40) {
                assert_relative_eq!(loss, 40f64.ln(), epsilon = 1e-6);
            }
        }
    }
}
