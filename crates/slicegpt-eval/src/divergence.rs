//! [`divergence`]: how far a decoder's predictions are from those of another.

use std::ops::ControlFlow;

use burn::tensor::activation::log_softmax;
use burn::tensor::{DType, Tensor};
use slicegpt_core::{Decoder, Head, Lanes, TokenBatch};
use slicegpt_kernels::{divergence_of_rows, is_host_f32};

use crate::error_of_mean::mean_and_error;
use crate::forward::{EvalError, forward, groups, logits_in_pieces};

/// How far the predictions of a decoder are from those of a base.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Divergence {
    /// `KL(base || decoder)` of the distributions over the next token, in nats: the mean over
    /// sequences of the mean over tokens.
    pub mean: f64,
    /// Standard error of [`Divergence::mean`] over sequences; 0 for one sequence.
    pub standard_error: f64,
    /// The fraction of tokens for which both find the same next token most likely.
    pub agreement: f64,
    /// Tokens compared.
    pub tokens: u64,
    /// Sequences compared.
    pub samples: usize,
}

/// Sequences compared so far.
#[derive(Default)]
pub struct DivergenceSum {
    means: Vec<f64>,
    agreed: u64,
    tokens: u64,
}

impl DivergenceSum {
    /// Compares what two heads make of the final streams of a batch, `[batch, tokens, width]` each, at
    /// the tokens that count. Gives `false` if a logit is not finite.
    #[must_use]
    pub fn add(
        &mut self,
        batch: &TokenBatch,
        [base, other]: [(&Head, Tensor<3>); 2],
        vocab_size: usize,
    ) -> bool {
        let [_, tokens] = batch.shape();
        let [base, other] = [base, other].map(|(head, x)| logits_in_pieces(head, x, vocab_size));
        let mut found = Vec::with_capacity(batch.ids().len());
        for (base, other) in base.zip(other) {
            if is_host_f32(&base) && is_host_f32(&other) {
                let rows = divergence_of_rows(base, other).into_iter();
                found.extend(rows.map(|row| (row.nats, row.agree)));
            } else {
                found.extend(compare(base, other));
            }
        }
        for (row, found) in found.chunks(tokens).enumerate() {
            let counted: Vec<_> = found
                .iter()
                .enumerate()
                .filter(|(i, _)| batch.mask().is_none_or(|mask| mask[row * tokens + i]))
                .map(|(_, found)| *found)
                .collect();
            if counted.is_empty() {
                continue;
            }
            let sum: f64 = counted.iter().map(|(divergence, _)| divergence).sum();
            if !sum.is_finite() {
                return false;
            }
            self.means.push(sum / counted.len() as f64);
            self.agreed += counted.iter().filter(|(_, same)| *same).count() as u64;
            self.tokens += counted.len() as u64;
        }
        true
    }

    /// What was found; `None` if no token counted.
    pub fn finish(&self) -> Option<Divergence> {
        let samples = self.means.len();
        let (mean, standard_error) = mean_and_error(&self.means);
        (samples > 0).then(|| Divergence {
            mean,
            standard_error,
            agreement: self.agreed as f64 / self.tokens as f64,
            tokens: self.tokens,
            samples,
        })
    }
}

/// The divergence of each row of two tensors of logits, `[rows, vocab_size]`, and whether the most
/// likely tokens are the same.
fn compare(base: Tensor<2>, other: Tensor<2>) -> Vec<(f64, bool)> {
    let choices = [base.clone(), other.clone()].map(|logits| {
        let data = logits.argmax(1).into_data_dtype(DType::I64);
        data.try_into_vec::<i64>().expect("it was just made int64")
    });
    let [base, other] = [base, other].map(|logits| log_softmax(logits, 1));
    let terms = base.clone().exp() * (base - other);
    let divergences = terms.sum_dim(1).into_data_dtype(DType::F32);
    let divergences: Vec<f32> = divergences.try_into_vec().expect("it was just made float32");
    let [base, other] = choices;
    let agree = base.into_iter().zip(other).map(|(a, b)| a == b);
    divergences.into_iter().map(f64::from).zip(agree).collect()
}

/// Compares the predictions of `decoder` with those of `base` on `batches`, as many run at a time as
/// there are `lanes`. One block, and the streams of a group of batches, are in memory.
///
/// # Errors
///
/// If a decoder cannot be read, a logit is not finite, or no token counts.
///
/// # Panics
///
/// If the two have not the same vocabulary.
pub fn divergence<A: Decoder, B: Decoder<Error = A::Error>>(
    base: &A,
    decoder: &B,
    batches: &[TokenBatch],
    lanes: &Lanes,
    tick: &mut dyn FnMut() -> ControlFlow<()>,
) -> Result<Divergence, EvalError<A::Error>>
where
    A::Error: std::error::Error + 'static,
{
    let vocab_size = base.vocab_size();
    assert_eq!(vocab_size, decoder.vocab_size(), "two decoders over one vocabulary");
    let mut sum = DivergenceSum::default();
    for group in groups(batches, base.norm()?.hidden_size) {
        let mut finals = Vec::with_capacity(group.len());
        forward(base, group, lanes, tick, |_, stream, head| {
            finals.push((stream, head.clone()));
            Ok(())
        })?;
        let mut finals = finals.into_iter();
        forward(decoder, group, lanes, tick, |batch, stream, head| {
            let (base, base_head) = finals.next().expect("both ran over the same batches");
            match sum.add(batch, [(&base_head, base), (head, stream)], vocab_size) {
                true => Ok(()),
                false => Err(EvalError::NotFinite),
            }
        })?;
    }
    sum.finish().ok_or(EvalError::Nothing)
}
