//! [`Sampling`]: how a token is chosen from logits, as in `generate` of Hugging Face transformers.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

/// How a token is chosen. The default is greedy: the most likely token.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// Divisor of the logits; 0 means greedy.
    pub temperature: f32,
    /// Draw from this many of the most likely tokens only.
    pub top_k: Option<usize>,
    /// Draw from the smallest set of most likely tokens whose probabilities add up to this (nucleus
    /// sampling, arXiv 1904.09751).
    pub top_p: Option<f32>,
    /// Draw only from tokens whose probability is at least this fraction of the greatest one.
    pub min_p: Option<f32>,
    /// Divisor of positive logits, and factor of negative ones, of tokens that occur in the prompt
    /// or the generated text (arXiv 1909.05858); 1 has no effect.
    pub repetition_penalty: f32,
    /// Subtracted from the logit of every token that was generated before.
    pub presence_penalty: f32,
    /// Subtracted from that logit once per occurrence.
    pub frequency_penalty: f32,
    /// Seed of the random number generator.
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

/// Chooses the tokens of one sequence.
#[derive(Clone, Debug)]
pub struct Sampler {
    sampling: Sampling,
    random: ChaCha20Rng,
}

impl Sampler {
    /// A sampler that starts with the seed of `sampling`.
    pub fn new(sampling: Sampling) -> Self {
        let random = ChaCha20Rng::seed_from_u64(sampling.seed);
        Self { sampling, random }
    }

    /// Chooses the token that follows `prompt` and `generated`, from logits `[vocab_size]`, all
    /// finite.
    pub fn choose(&mut self, logits: &[f32], prompt: &[u32], generated: &[u32]) -> u32 {
        let logits = self.penalise(logits, prompt, generated);
        let temperature = self.sampling.temperature;
        if temperature <= 0.0 {
            return argmax(&logits);
        }
        let mut candidates: Vec<(u32, f32)> =
            logits.iter().enumerate().map(|(id, x)| (id as u32, *x)).collect();
        // Descending, equals by id: a total order, so that the result is reproducible.
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
            // The token that reaches the sum is included.
            let count = weights.iter().take_while(|w| {
                let before = sum;
                sum += **w;
                before < f64::from(p)
            });
            weights.truncate(count.count().max(1));
        }
        if let Some(p) = self.sampling.min_p {
            let min = weights[0] * f64::from(p);
            weights.truncate(weights.iter().take_while(|w| **w >= min).count().max(1));
        }
        let drawn = draw(weights.iter().copied(), &mut self.random);
        candidates[drawn.unwrap_or(0)].0
    }

    /// The logits after all penalties.
    fn penalise(&self, logits: &[f32], prompt: &[u32], generated: &[u32]) -> Vec<f32> {
        let mut logits = logits.to_vec();
        let Sampling { repetition_penalty, presence_penalty, frequency_penalty, .. } =
            self.sampling;
        if repetition_penalty != 1.0 {
            for id in prompt.iter().chain(generated).collect::<BTreeSet<_>>() {
                let x = &mut logits[*id as usize];
                let penalised =
                    if *x > 0.0 { *x / repetition_penalty } else { *x * repetition_penalty };
                // A penalty below 1 enlarges logits, but must not make them infinite.
                *x = penalised.clamp(f32::MIN, f32::MAX);
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

/// Draws an index with probability proportional to its weight: one random number, in the order of
/// the weights. `None` if rounding leaves a remainder after the last weight.
pub(crate) fn draw(
    weights: impl Iterator<Item = f64> + Clone,
    random: &mut ChaCha20Rng,
) -> Option<usize> {
    let mut remainder = random.random::<f64>() * weights.clone().sum::<f64>();
    weights.into_iter().position(|weight| {
        remainder -= weight;
        remainder < 0.0
    })
}

/// The index of the greatest logit, the first among equals.
pub(crate) fn argmax(logits: &[f32]) -> u32 {
    let greatest = logits
        .iter()
        .enumerate()
        .fold((0, f32::NEG_INFINITY), |best, (id, x)| if *x > best.1 { (id, *x) } else { best });
    greatest.0 as u32
}

/// The probabilities of candidates, whose logits are in descending order.
fn softmax(candidates: &[(u32, f32)], temperature: f32) -> Vec<f64> {
    let (greatest, temperature) = (f64::from(candidates[0].1), f64::from(temperature));
    // Exponents are at most 0, so nothing overflows even at a tiny temperature.
    let weight = |x: f32| ((f64::from(x) - greatest) / temperature).exp();
    let weights: Vec<f64> = candidates.iter().map(|(_, x)| weight(*x)).collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|w| w / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often each of four tokens is drawn in 4000 draws.
    fn drawn(sampling: Sampling) -> [usize; 4] {
        let mut sampler = Sampler::new(sampling);
        let mut counts = [0; 4];
        // Probabilities 0.5, 0.25, 0.125, 0.125.
        let logits = [8f32.ln(), 4f32.ln(), 2f32.ln(), 2f32.ln()];
        (0..4000).for_each(|_| counts[sampler.choose(&logits, &[], &[]) as usize] += 1);
        counts
    }

    fn assert_close(counts: [usize; 4], expected: [f64; 4]) {
        for (count, expected) in counts.into_iter().zip(expected) {
            // Four standard deviations of a binomial distribution.
            let allowed = 4.0 * (4000.0 * expected * (1.0 - expected)).sqrt() + 0.5;
            assert!((count as f64 - 4000.0 * expected).abs() <= allowed, "{counts:?}");
        }
    }

    #[test]
    fn tokens_are_drawn_with_their_probabilities() {
        let sampled = Sampling { temperature: 1.0, ..Default::default() };
        assert_close(drawn(Sampling::default()), [1.0, 0.0, 0.0, 0.0]);
        assert_close(drawn(sampled.clone()), [0.5, 0.25, 0.125, 0.125]);
        assert_close(
            drawn(Sampling { temperature: 0.5, ..sampled.clone() }),
            [0.727, 0.182, 0.0455, 0.0455],
        );
        assert_close(
            drawn(Sampling { top_k: Some(2), ..sampled.clone() }),
            [0.667, 0.333, 0.0, 0.0],
        );
        assert_close(
            drawn(Sampling { top_p: Some(0.6), ..sampled.clone() }),
            [0.667, 0.333, 0.0, 0.0],
        );
        assert_close(
            drawn(Sampling { top_p: Some(0.01), ..sampled.clone() }),
            [1.0, 0.0, 0.0, 0.0],
        );
        assert_close(
            drawn(Sampling { min_p: Some(0.4), ..sampled.clone() }),
            [0.667, 0.333, 0.0, 0.0],
        );
        assert_close(drawn(Sampling { top_k: Some(1), ..sampled }), [1.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn a_tiny_temperature_is_greedy() {
        for temperature in [1e-40, f32::MIN_POSITIVE, 1e-30] {
            let mut sampler = Sampler::new(Sampling { temperature, ..Default::default() });
            (0..50).for_each(|_| assert_eq!(sampler.choose(&[7.0, 9.0, 8.0], &[], &[]), 1));
            // Only differences of logits matter.
            assert_eq!(sampler.choose(&[-9.0, -7.0, -8.0], &[], &[]), 1);
        }
    }

    #[test]
    fn a_seed_determines_the_tokens() {
        let run = |seed| {
            let sampling = Sampling { temperature: 1.0, seed, ..Default::default() };
            let mut sampler = Sampler::new(sampling);
            (0..50).map(|_| sampler.choose(&[0.0; 100], &[], &[])).collect::<Vec<_>>()
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
    }

    #[test]
    fn penalties_make_repetition_less_likely() {
        let choose = |sampling: Sampling, generated: &[u32]| {
            Sampler::new(sampling).choose(&[1.0, 0.9, -1.0], &[], generated)
        };
        let plain = Sampling::default();
        assert_eq!(choose(plain.clone(), &[0, 0]), 0);
        assert_eq!(choose(Sampling { repetition_penalty: 1.2, ..plain.clone() }, &[0]), 1);
        assert_eq!(choose(Sampling { presence_penalty: 0.2, ..plain.clone() }, &[0]), 1);
        assert_eq!(choose(Sampling { frequency_penalty: 0.06, ..plain.clone() }, &[0]), 0);
        assert_eq!(choose(Sampling { frequency_penalty: 0.06, ..plain.clone() }, &[0, 0]), 1);
        // A negative logit is multiplied.
        let negative = Sampler::new(Sampling { repetition_penalty: 2.0, ..plain });
        assert_eq!(negative.penalise(&[-1.0, 3.0], &[0, 1], &[]), [-2.0, 1.5]);
    }
}
