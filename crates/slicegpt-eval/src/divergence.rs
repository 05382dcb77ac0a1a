//! [`divergence`]: the KL divergence of a decoder's predictions from those of another.

use burn::tensor::activation::log_softmax;
use burn::tensor::{DType, Tensor};
use slicegpt_core::{Decoder, Head, Lanes, Observer, TokenBatch};
use slicegpt_kernels::{divergence_of_rows, is_host_f32};

use crate::forward::{EvalError, forward_both, logits_in_pieces};
use crate::standard_error::mean_and_error;

/// The divergence of the predictions of a decoder from those of a base.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Divergence {
    /// `KL(base || decoder)` of the distributions over the next token, in nats: the mean over
    /// sequences of the mean over tokens.
    pub mean: f64,
    /// Standard error of [`Divergence::mean`] over sequences; 0 for one sequence.
    pub standard_error: f64,
    /// The fraction of tokens for which both predict the same most likely next token.
    pub agreement: f64,
    /// The number of tokens compared.
    pub tokens: u64,
    /// The number of sequences compared.
    pub samples: usize,
}

/// The sums over the sequences compared so far.
#[derive(Default)]
pub struct DivergenceSum {
    means: Vec<f64>,
    agreed: u64,
    tokens: u64,
}

impl DivergenceSum {
    /// Compares the predictions of two heads from the final streams of a batch, `[batch, tokens,
    /// width]` each, at the tokens that are not padding. Returns `false` if a logit is not finite.
    #[must_use]
    pub fn add(
        &mut self,
        batch: &TokenBatch,
        [base, other]: [(&Head, Tensor<3>); 2],
        vocab_size: usize,
    ) -> bool {
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
        self.add_rows(batch, &found)
    }

    /// Adds the divergence at each token of a batch, and whether the most likely tokens are the
    /// same.
    fn add_rows(&mut self, batch: &TokenBatch, found: &[(f64, bool)]) -> bool {
        let [_, tokens] = batch.shape();
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

    /// The result; `None` if every token was padding.
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

/// Compares the predictions of `decoder` with those of `base` on `batches`, of which as many are
/// run at a time as there are `lanes`. One block, and the streams of a group of batches, are in
/// memory.
///
/// # Errors
///
/// If a decoder cannot be read, a logit is not finite, or every token is padding.
///
/// # Panics
///
/// If the two have different vocabularies.
pub fn divergence<A: Decoder, B: Decoder<Error = A::Error>>(
    base: &A,
    decoder: &B,
    batches: &[TokenBatch],
    lanes: &Lanes,
    observer: &dyn Observer,
) -> Result<Divergence, EvalError<A::Error>>
where
    A::Error: std::error::Error + 'static,
{
    let vocab_size = base.vocab_size();
    assert_eq!(vocab_size, decoder.vocab_size(), "two decoders over one vocabulary");
    let mut sum = DivergenceSum::default();
    forward_both(base, decoder, batches, lanes, observer, |batch, finals| {
        let is_finite = sum.add(batch, finals, vocab_size);
        if is_finite { Ok(()) } else { Err(EvalError::NotFinite) }
    })?;
    sum.finish().ok_or(EvalError::Nothing)
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;
    use burn::tensor::{Device, TensorData};

    use super::*;

    /// The logarithms of two distributions over three tokens, each shifted as logits may be.
    fn logits(shift: f32) -> [Tensor<2>; 2] {
        [[0.5f32, 0.25, 0.25], [0.25, 0.25, 0.5]].map(|row| {
            let values = row.map(|p| p.ln() + shift).to_vec();
            Tensor::from_data(TensorData::new(values, [1, 3]), &Device::flex())
        })
    }

    #[test]
    fn known_distributions_have_their_divergence() {
        // 1/2 log 2 + 0 - 1/4 log 2.
        let exact = 2f64.ln() / 4.0;
        for shift in [0.0, -7.0, 12.0] {
            let [base, other] = logits(shift);
            let by_kernel = divergence_of_rows(base.clone(), other.clone())[0];
            let (by_burn, agree) = compare(base.clone(), other)[0];
            assert_relative_eq!(by_kernel.nats, exact, epsilon = 1e-6);
            assert_relative_eq!(by_burn, exact, epsilon = 1e-5);
            assert!(!by_kernel.agree && !agree);
            let same = divergence_of_rows(base.clone(), base)[0];
            assert_relative_eq!(same.nats, 0.0, epsilon = 1e-12);
            assert!(same.agree);
        }
    }

    #[test]
    fn padding_is_not_compared() {
        // The last token of the second sequence, and all of the third, are padding.
        let mask = vec![true, true, true, false, false, false];
        let batch = TokenBatch::new(vec![0; 6], Some(mask), 2);
        let damaged = (f64::NAN, false);
        let found = [(1.0, true), (3.0, false), (5.0, true), damaged, damaged, damaged];
        let mut sum = DivergenceSum::default();
        assert!(sum.add_rows(&batch, &found));
        let Divergence { mean, standard_error, agreement, tokens, samples } = sum.finish().unwrap();
        // Means over tokens of 2 and 5, then over sequences.
        assert_relative_eq!(mean, 3.5);
        assert_relative_eq!(standard_error, 1.5);
        assert_relative_eq!(agreement, 2.0 / 3.0);
        assert_eq!((tokens, samples), (3, 2));
    }

    #[test]
    fn damage_is_reported_and_no_tokens_are_no_result() {
        let batch = TokenBatch::new(vec![0; 2], None, 2);
        let mut sum = DivergenceSum::default();
        assert!(!sum.add_rows(&batch, &[(1.0, true), (f64::NAN, true)]));
        assert!(sum.finish().is_none());
    }
}
