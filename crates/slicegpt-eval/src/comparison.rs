//! [`comparison`]: two decoders on the same text, in one pass over each.

use slicegpt_core::{Decoder, Lanes, Observer, TokenBatch};

use crate::divergence::{Divergence, DivergenceSum};
use crate::forward::{EvalError, forward_both};
use crate::perplexity::{Perplexity, PerplexitySum};

/// Two decoders on the same text.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// Perplexity of the base.
    pub base: Perplexity,
    /// Perplexity of the decoder.
    pub decoder: Perplexity,
    /// Divergence of the decoder from the base.
    pub divergence: Divergence,
}

/// Scores `base` and `decoder` on `batches` of equally long sequences, as [`crate::perplexity`] and
/// [`crate::divergence`] do, but runs each decoder only once. As many batches are run at a time as
/// there are `lanes`. One block, and the streams of a group of batches, are in memory.
///
/// # Errors
///
/// If a decoder cannot be read, a logit is not finite, or no label is left.
///
/// # Panics
///
/// If the two have different vocabularies.
pub fn comparison<A: Decoder, B: Decoder<Error = A::Error>>(
    base: &A,
    decoder: &B,
    batches: &[TokenBatch],
    lanes: &Lanes,
    ignore_token_id: Option<u32>,
    observer: &dyn Observer,
) -> Result<Comparison, EvalError<A::Error>>
where
    A::Error: std::error::Error + 'static,
{
    let vocab_size = base.vocab_size();
    assert_eq!(vocab_size, decoder.vocab_size(), "two decoders over one vocabulary");
    let mut sums = [(); 2].map(|()| PerplexitySum::new(ignore_token_id));
    let mut divergence = DivergenceSum::default();
    forward_both(base, decoder, batches, lanes, observer, |batch, finals| {
        let mut is_finite = true;
        for (sum, (head, stream)) in sums.iter_mut().zip(&finals) {
            is_finite &= sum.add(batch, head, stream.clone(), vocab_size);
        }
        is_finite = is_finite && divergence.add(batch, finals, vocab_size);
        if is_finite { Ok(()) } else { Err(EvalError::NotFinite) }
    })?;
    let [base, decoder] = sums.map(|sum| sum.finish().ok_or(EvalError::Nothing));
    let divergence = divergence.finish().ok_or(EvalError::Nothing)?;
    Ok(Comparison { base: base?, decoder: decoder?, divergence })
}
