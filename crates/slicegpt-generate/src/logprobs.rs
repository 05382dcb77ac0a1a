//! [`TokenLogprobs`]: the logprobs of a token and of its alternatives, from logits.

/// The log-softmax of the logits after a token, evaluated one logit at a time.
#[derive(Clone, Copy, Debug)]
pub struct LogSoftmax {
    max: f32,
    log_sum: f64,
}

impl LogSoftmax {
    /// The normalisation of `logits`, `[vocab_size]`, summed in double precision.
    pub fn new(logits: &[f32]) -> Self {
        let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = logits.iter().map(|x| f64::from(x - max).exp()).sum();
        Self { max, log_sum: sum.ln() }
    }

    /// The natural logarithm of the probability of a token with this logit.
    pub fn logprob(&self, logit: f32) -> f32 {
        (f64::from(logit - self.max) - self.log_sum) as f32
    }

    /// The greatest logit.
    pub fn max(&self) -> f32 {
        self.max
    }
}

/// The natural logarithm of the probability of each token, from logits `[vocab_size]`.
pub fn log_probabilities(logits: &[f32]) -> Vec<f32> {
    let softmax = LogSoftmax::new(logits);
    logits.iter().map(|x| softmax.logprob(*x)).collect()
}

/// The logprob of a token, and the most likely tokens with theirs.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenLogprobs {
    /// The token.
    pub id: u32,
    /// The natural logarithm of its probability.
    pub logprob: f32,
    /// The most likely tokens and their logprobs, in descending order.
    pub top: Vec<(u32, f32)>,
}

impl TokenLogprobs {
    /// The logprobs of token `id` and of the `top` most likely tokens, from logits `[vocab_size]`,
    /// all finite. Of equally likely tokens the one with the lower id comes first.
    ///
    /// # Panics
    ///
    /// If `id` is not below `vocab_size`.
    pub fn new(logits: &[f32], id: u32, top: usize) -> Self {
        let softmax = LogSoftmax::new(logits);
        // `top` is small, so nearly every logit fails the first comparison.
        let mut best: Vec<(u32, f32)> = Vec::with_capacity(top + 1);
        for (id, x) in logits.iter().enumerate() {
            if best.len() == top && best.last().is_none_or(|(_, min)| x <= min) {
                continue;
            }
            // After its equals, which have lower ids.
            let place = best.partition_point(|(_, other)| other >= x);
            best.insert(place, (id as u32, *x));
            best.truncate(top);
        }
        best.iter_mut().for_each(|(_, x)| *x = softmax.logprob(*x));
        Self { id, logprob: softmax.logprob(logits[id as usize]), top: best }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logprobs_are_those_of_a_softmax() {
        let found = log_probabilities(&[8f32.ln(), 4f32.ln(), 2f32.ln(), 2f32.ln()]);
        for (found, p) in found.into_iter().zip([0.5f32, 0.25, 0.125, 0.125]) {
            assert!((found - p.ln()).abs() < 1e-6);
        }
    }

    #[test]
    fn the_most_likely_tokens_come_first() {
        let logits = [0.5f32, -1.0, 2.0, 0.5, 2.0, -3.0];
        let all = log_probabilities(&logits);
        for top in 0..8 {
            let logprobs = TokenLogprobs::new(&logits, 1, top);
            assert_eq!(logprobs.logprob, all[1]);
            let order = [2, 4, 0, 3, 1, 5];
            let want: Vec<_> = order.iter().take(top).map(|id| (*id, all[*id as usize])).collect();
            assert_eq!(logprobs.top, want);
        }
    }
}
