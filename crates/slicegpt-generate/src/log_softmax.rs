//! [`LogSoftmax`]: logits as logarithms of probabilities.

/// What makes the natural logarithm of a probability of a logit.
#[derive(Clone, Copy, Debug)]
pub struct LogSoftmax {
    greatest: f32,
    log_sum: f64,
}

impl LogSoftmax {
    /// Of all logits of a token, summed in float64.
    pub fn of(logits: &[f32]) -> Self {
        let greatest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = logits.iter().map(|x| f64::from(x - greatest).exp()).sum();
        Self { greatest, log_sum: sum.ln() }
    }

    /// Of one of them.
    pub fn log_probability(&self, logit: f32) -> f32 {
        (f64::from(logit - self.greatest) - self.log_sum) as f32
    }

    /// The greatest of them.
    pub fn greatest(&self) -> f32 {
        self.greatest
    }
}

/// The natural logarithm of the probability of each token.
pub fn log_probabilities(logits: &[f32]) -> Vec<f32> {
    let softmax = LogSoftmax::of(logits);
    logits.iter().map(|x| softmax.log_probability(*x)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_probabilities_are_those_of_a_softmax() {
        let found = log_probabilities(&[8f32.ln(), 4f32.ln(), 2f32.ln(), 2f32.ln()]);
        for (found, p) in found.into_iter().zip([0.5f32, 0.25, 0.125, 0.125]) {
            assert!((found - p.ln()).abs() < 1e-6);
        }
    }
}
