//! [`Schedule`]: the learning rate of each step.

use std::f64::consts::PI;

/// How the learning rate falls after the warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decay {
    /// It stays.
    Constant,
    /// Linearly, to zero after the last step.
    Linear,
    /// Along half a cosine, to zero after the last step.
    Cosine,
}

/// The learning rate over all steps: a linear warm-up, then a decay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// The rate after the warm-up.
    pub peak: f64,
    /// The number of steps over which the rate rises to the peak.
    pub warmup: usize,
    /// The number of all steps, those of the warm-up included.
    pub steps: usize,
    /// How it falls.
    pub decay: Decay,
}

impl Schedule {
    /// The rate of step `step`, which counts from zero. As the schedules of transformers, but the
    /// first step of a warm-up has a rate above zero.
    pub fn rate(&self, step: usize) -> f64 {
        if step < self.warmup {
            return self.peak * (step + 1) as f64 / self.warmup as f64;
        }
        let rest = self.steps.saturating_sub(self.warmup).max(1);
        let done = ((step - self.warmup) as f64 / rest as f64).min(1.0);
        self.peak
            * match self.decay {
                Decay::Constant => 1.0,
                Decay::Linear => 1.0 - done,
                Decay::Cosine => 0.5 * (1.0 + (PI * done).cos()),
            }
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::*;

    #[test]
    fn it_rises_to_the_peak_and_falls_to_zero() {
        let schedule = Schedule { peak: 2.0, warmup: 4, steps: 14, decay: Decay::Linear };
        let rates: Vec<f64> = (0..15).map(|step| schedule.rate(step)).collect();
        assert_eq!(rates[..5], [0.5, 1.0, 1.5, 2.0, 2.0]);
        assert_relative_eq!(rates[9], 1.0);
        assert_eq!(rates[14], 0.0);
        let cosine = Schedule { decay: Decay::Cosine, ..schedule };
        assert_relative_eq!(cosine.rate(9), 1.0, epsilon = 1e-12);
        assert_relative_eq!(cosine.rate(6), 2.0 * 0.9045084971874737, epsilon = 1e-12);
        let constant = Schedule { decay: Decay::Constant, warmup: 0, ..schedule };
        assert_eq!([0, 13].map(|step| constant.rate(step)), [2.0, 2.0]);
    }
}
