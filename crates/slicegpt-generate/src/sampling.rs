//! [`Sampling`]: how a token is chosen from the logits, as in Hugging Face's `generate`.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

/// How a token is chosen. The default takes the most likely one.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// What logits are divided by; 0 takes the most likely token.
    pub temperature: f32,
    /// Only so many of the most likely tokens are drawn from.
    pub top_k: Option<usize>,
    /// Only the most likely tokens are drawn from, as many as have this probability together
    /// (arXiv 1904.09751).
    pub top_p: Option<f32>,
    /// Only tokens are drawn from that have this fraction of the greatest probability, at least.
    pub min_p: Option<f32>,
    /// What positive logits of tokens that were there already are divided by, and negative ones
    /// multiplied (arXiv 1909.05858); 1 is none.
    pub repetition_penalty: f32,
    /// What is taken from the logit of a token that was generated already.
    pub presence_penalty: f32,
    /// What is taken from it for each time.
    pub frequency_penalty: f32,
    /// Of the random numbers.
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 0.0,
            top_k: None,
            top_p: None,
            min_p: None,
            repetition_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            seed: 0,
        }
    }
}

/// Chooses tokens, one after the other.
#[derive(Clone, Debug)]
pub struct Sampler {
    sampling: Sampling,
    random: ChaCha20Rng,
}

impl Sampler {
    /// Begins with the seed.
    pub fn new(sampling: Sampling) -> Self {
        let random = ChaCha20Rng::seed_from_u64(sampling.seed);
        Self { sampling, random }
    }

    /// The token that follows `prompt` and `generated`, whose logits these are, `vocab_size` of them,
    /// all finite.
    pub fn choose(&mut self, logits: &[f32], prompt: &[u32], generated: &[u32]) -> u32 {
        let logits = self.penalised(logits, prompt, generated);
        let temperature = self.sampling.temperature;
        if temperature <= 0.0 {
            return most_likely(&logits);
        }
        let mut candidates: Vec<(u32, f32)> =
            logits.iter().enumerate().map(|(id, x)| (id as u32, *x)).collect();
        // The most likely first; of equals the first, so that the order is one.
        let order = |a: &(u32, f32), b: &(u32, f32)| {
            b.1.partial_cmp(&a.1).unwrap_or(Ordering::Equal).then(a.0.cmp(&b.0))
        };
        if let Some(k) = self.sampling.top_k.filter(|k| (1..candidates.len()).contains(k)) {
            candidates.select_nth_unstable_by(k - 1, order);
            candidates.truncate(k);
        }
        candidates.sort_unstable_by(order);
        let mut weights = softmax(&candidates, temperature);
        if let Some(p) = self.sampling.top_p.filter(|p| *p < 1.0) {
            let mut sum = 0.0;
            // The one that reaches it is among them.
            let count = weights.iter().take_while(|w| {
                let before = sum;
                sum += **w;
                before < f64::from(p)
            });
            weights.truncate(count.count().max(1));
        }
        if let Some(p) = self.sampling.min_p {
            let least = weights[0] * f64::from(p);
            weights.truncate(weights.iter().take_while(|w| **w >= least).count().max(1));
        }
        let mut left = self.random.random::<f64>() * weights.iter().sum::<f64>();
        let drawn = weights.iter().position(|w| {
            left -= w;
            left < 0.0
        });
        candidates[drawn.unwrap_or(0)].0
    }

    fn penalised(&self, logits: &[f32], prompt: &[u32], generated: &[u32]) -> Vec<f32> {
        let mut logits = logits.to_vec();
        let Sampling { repetition_penalty, presence_penalty, frequency_penalty, .. } =
            self.sampling;
        if repetition_penalty != 1.0 {
            for id in prompt.iter().chain(generated).collect::<BTreeSet<_>>() {
                let x = &mut logits[*id as usize];
                let less = if *x > 0.0 { *x / repetition_penalty } else { *x * repetition_penalty };
                // A penalty below 1 makes more likely, but of nothing an infinity.
                *x = less.clamp(f32::MIN, f32::MAX);
            }
        }
        if presence_penalty != 0.0 || frequency_penalty != 0.0 {
            let mut counts = BTreeMap::<u32, f32>::new();
            generated.iter().for_each(|id| *counts.entry(*id).or_default() += 1.0);
            for (id, count) in counts {
                logits[id as usize] -= presence_penalty + frequency_penalty * count;
            }
        }
        logits
    }
}

/// The first of the greatest.
fn most_likely(logits: &[f32]) -> u32 {
    let greatest = logits
        .iter()
        .enumerate()
        .fold((0, f32::NEG_INFINITY), |best, (id, x)| if *x > best.1 { (id, *x) } else { best });
    greatest.0 as u32
}

/// The probabilities of candidates, the greatest logit first.
fn softmax(candidates: &[(u32, f32)], temperature: f32) -> Vec<f64> {
    let (greatest, temperature) = (f64::from(candidates[0].1), f64::from(temperature));
    // Differences, so that nothing overflows however small the temperature is.
    let weight = |x: f32| ((f64::from(x) - greatest) / temperature).exp();
    let weights: Vec<f64> = candidates.iter().map(|(_, x)| weight(*x)).collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|w| w / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often each of four tokens is drawn of 4000 times.
    fn drawn(sampling: Sampling) -> [usize; 4] {
        let mut sampler = Sampler::new(sampling);
        let mut counts = [0; 4];
        // Probabilities 0.5, 0.25, 0.125, 0.125.
        let logits = [8f32.ln(), 4f32.ln(), 2f32.ln(), 2f32.ln()];
        (0..4000).for_each(|_| counts[sampler.choose(&logits, &[], &[]) as usize] += 1);
        counts
    }

    fn near(counts: [usize; 4], expected: [f64; 4]) {
        for (count, expected) in counts.into_iter().zip(expected) {
            // Four standard deviations of a binomial distribution.
            let allowed = 4.0 * (4000.0 * expected * (1.0 - expected)).sqrt() + 0.5;
            assert!((count as f64 - 4000.0 * expected).abs() <= allowed, "{counts:?}");
        }
    }

    #[test]
    fn tokens_are_drawn_with_their_probabilities() {
        let warm = Sampling { temperature: 1.0, ..Default::default() };
        near(drawn(Sampling::default()), [1.0, 0.0, 0.0, 0.0]);
        near(drawn(warm.clone()), [0.5, 0.25, 0.125, 0.125]);
        near(drawn(Sampling { temperature: 0.5, ..warm.clone() }), [0.727, 0.182, 0.0455, 0.0455]);
        near(drawn(Sampling { top_k: Some(2), ..warm.clone() }), [0.667, 0.333, 0.0, 0.0]);
        near(drawn(Sampling { top_p: Some(0.6), ..warm.clone() }), [0.667, 0.333, 0.0, 0.0]);
        near(drawn(Sampling { top_p: Some(0.01), ..warm.clone() }), [1.0, 0.0, 0.0, 0.0]);
        near(drawn(Sampling { min_p: Some(0.4), ..warm.clone() }), [0.667, 0.333, 0.0, 0.0]);
        near(drawn(Sampling { top_k: Some(1), ..warm }), [1.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn a_very_small_temperature_takes_the_most_likely() {
        for temperature in [1e-40, f32::MIN_POSITIVE, 1e-30] {
            let mut sampler = Sampler::new(Sampling { temperature, ..Default::default() });
            (0..50).for_each(|_| assert_eq!(sampler.choose(&[7.0, 9.0, 8.0], &[], &[]), 1));
            // A difference is one, whatever the numbers are.
            assert_eq!(sampler.choose(&[-9.0, -7.0, -8.0], &[], &[]), 1);
        }
    }

    #[test]
    fn a_seed_is_a_sequence() {
        let run = |seed| {
            let sampling = Sampling { temperature: 1.0, seed, ..Default::default() };
            let mut sampler = Sampler::new(sampling);
            (0..50).map(|_| sampler.choose(&[0.0; 100], &[], &[])).collect::<Vec<_>>()
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
    }

    #[test]
    fn what_was_said_is_said_less() {
        let choose = |sampling: Sampling, generated: &[u32]| {
            Sampler::new(sampling).choose(&[1.0, 0.9, -1.0], &[], generated)
        };
        let plain = Sampling::default();
        assert_eq!(choose(plain.clone(), &[0, 0]), 0);
        assert_eq!(choose(Sampling { repetition_penalty: 1.2, ..plain.clone() }, &[0]), 1);
        assert_eq!(choose(Sampling { presence_penalty: 0.2, ..plain.clone() }, &[0]), 1);
        assert_eq!(choose(Sampling { frequency_penalty: 0.06, ..plain.clone() }, &[0]), 0);
        assert_eq!(choose(Sampling { frequency_penalty: 0.06, ..plain.clone() }, &[0, 0]), 1);
        // A negative logit is multiplied: less likely still.
        let negative = Sampler::new(Sampling { repetition_penalty: 2.0, ..plain });
        assert_eq!(negative.penalised(&[-1.0, 3.0], &[0, 1], &[]), [-2.0, 1.5]);
    }
}
