//! [`difference`]: the largest difference between the logits of two decoders.

use burn::tensor::{DType, Tensor};
use slicegpt_core::{Decoder, Lanes, Observer, TokenBatch};

use crate::forward::{EvalError, forward, logits_in_pieces};

/// The difference between the logits of two decoders, over all tokens that are not padding.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// The largest absolute difference of two logits.
    pub max_abs: f64,
    /// [`Difference::max_abs`] over the largest absolute logit of the first decoder.
    pub max_rel: f64,
    /// The number of tokens compared.
    pub tokens: u64,
}

/// Runs both decoders on `batches`, one after the other, and compares their logits. As many batches
/// are run at a time as there are `lanes`. The final streams are kept in memory, the logits are
/// not.
///
/// # Errors
///
/// If a decoder cannot be read or a logit is not finite.
pub fn difference<A: Decoder, B: Decoder<Error = A::Error>>(
    first: &A,
    second: &B,
    batches: &[TokenBatch],
    lanes: &Lanes,
    observer: &dyn Observer,
) -> Result<Difference, EvalError<A::Error>>
where
    A::Error: std::error::Error + 'static,
{
    let mut finals = Vec::with_capacity(batches.len());
    forward(first, batches, lanes, observer, |_, stream, head| {
        finals.push((stream, head.clone()));
        Ok(())
    })?;
    let mut finals = finals.into_iter();
    let vocab_size = first.vocab_size();
    let (mut largest_difference, mut largest_logit, mut tokens) = (0.0f64, 0.0f64, 0);
    forward(second, batches, lanes, observer, |batch, stream, head| {
        let (other_stream, other_head) = finals.next().expect("both ran over the same batches");
        let ours = logits_in_pieces(head, stream, vocab_size);
        let others = logits_in_pieces(&other_head, other_stream, vocab_size);
        let mut row = 0;
        for (ours, others) in ours.zip(others) {
            let differences = row_maxima((ours - others.clone()).abs());
            for (difference, logit) in differences.into_iter().zip(row_maxima(others.abs())) {
                if batch.mask().is_none_or(|mask| mask[row]) {
                    if !difference.is_finite() {
                        return Err(EvalError::NotFinite);
                    }
                    largest_difference = largest_difference.max(difference.into());
                    largest_logit = largest_logit.max(logit.into());
                    tokens += 1;
                }
                row += 1;
            }
        }
        Ok(())
    })?;
    let max_rel = largest_difference / largest_logit.max(f64::MIN_POSITIVE);
    Ok(Difference { max_abs: largest_difference, max_rel, tokens })
}

fn row_maxima(x: Tensor<2>) -> Vec<f32> {
    x.max_dim(1).into_data_dtype(DType::F32).try_into_vec().expect("it was just made float32")
}
