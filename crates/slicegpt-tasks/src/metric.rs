//! [`Metric`]: how the answers to an item are scored; [`Scores`]: the metrics of many items.

use rayon::prelude::*;

use crate::random::Random;
use crate::{Item, Likelihood};

/// Bootstrap replicates of the standard error of a perplexity. As in the harness, there are 1000
/// for each of 100 seeds.
const SEEDS: u32 = 100;
const DRAWS: usize = 1000;

/// How the answers to an item are scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Whether the right choice is the most likely one.
    Acc,
    /// Whether the right choice is the most likely one after dividing each log-likelihood by the
    /// number of characters of the choice.
    AccNorm,
    /// Whether greedy decoding would produce the continuation.
    Greedy,
    /// The exponential of the mean negative log-likelihood.
    Perplexity,
}

impl Metric {
    /// The name in the harness.
    pub fn name(self) -> &'static str {
        match self {
            Self::Acc | Self::Greedy => "acc",
            Self::AccNorm => "acc_norm",
            Self::Perplexity => "perplexity",
        }
    }

    /// Whether higher values are better.
    pub fn higher_is_better(self) -> bool {
        self != Self::Perplexity
    }

    /// The value of one item. The metric of many items is the mean of these values, or for a
    /// perplexity the exponential of their negative mean.
    pub fn of(self, item: &Item, answers: &AnswerLikelihoods) -> f64 {
        let logprobs = answers.0.iter().map(|answer| answer.logprob);
        let right = |scores: &mut dyn Iterator<Item = f64>| {
            f64::from(u8::from(argmax(scores) == item.gold))
        };
        match self {
            Self::Acc => right(&mut logprobs.into_iter()),
            Self::AccNorm => {
                let lengths = item.lengths();
                right(&mut logprobs.zip(lengths).map(|(logprob, length)| logprob / length as f64))
            }
            Self::Greedy => f64::from(u8::from(answers.0[0].is_greedy)),
            Self::Perplexity => answers.0[0].logprob,
        }
    }
}

/// The likelihoods of the answers of an item, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct AnswerLikelihoods(pub Vec<Likelihood>);

/// The value of a metric over many items.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MetricValue {
    /// The metric.
    pub metric: Metric,
    /// Its value.
    pub value: f64,
    /// Its standard error; none for a single item.
    pub error: Option<f64>,
}

/// The metrics of many items.
#[derive(Clone, Debug, PartialEq)]
pub struct Scores {
    /// The number of items.
    pub items: usize,
    /// In the order of the task's metrics.
    pub values: Vec<MetricValue>,
}

/// The metrics of items, given the likelihoods of their answers.
///
/// The standard error of a mean comes from the sample variance; that of a perplexity from a
/// bootstrap with the random numbers of the harness.
pub fn scores(metrics: &[Metric], answered: &[(&Item, &AnswerLikelihoods)]) -> Scores {
    let value = |metric: &Metric| {
        let each: Vec<f64> =
            answered.iter().map(|(item, answers)| metric.of(item, answers)).collect();
        let (value, error) = match metric {
            Metric::Perplexity => ((-mean(&each)).exp(), bootstrap(&each)),
            _ => {
                let error =
                    deviation(&each).map(|deviation| deviation / (each.len() as f64).sqrt());
                (mean(&each), error)
            }
        };
        MetricValue { metric: *metric, value, error }
    };
    Scores { items: answered.len(), values: metrics.iter().map(value).collect() }
}

impl Scores {
    /// The scores of several tasks as one: means weighted by the number of items, and the pooled
    /// standard error.
    ///
    /// # Panics
    ///
    /// If there are none, or their metrics differ.
    pub fn pooled(all: &[&Scores]) -> Scores {
        let items: usize = all.iter().map(|scores| scores.items).sum();
        let pooled = |place: usize| {
            let metric = all[0].values[place].metric;
            let each = || all.iter().map(|scores| (scores.items as f64, scores.values[place]));
            assert!(each().all(|(_, value)| value.metric == metric), "the metrics are the same");
            let value = each().map(|(size, value)| size * value.value).sum::<f64>() / items as f64;
            let squares: Option<Vec<f64>> = each()
                .map(|(size, value)| value.error.map(|error| (size - 1.0) * error * error * size))
                .collect();
            let error = squares.map(|squares| {
                let variance = squares.iter().sum::<f64>() / (items - all.len()) as f64;
                (variance / items as f64).sqrt()
            });
            MetricValue { metric, value, error }
        };
        Scores { items, values: (0..all[0].values.len()).map(pooled).collect() }
    }
}

/// The index of the greatest number, the first among equals.
fn argmax(numbers: &mut dyn Iterator<Item = f64>) -> usize {
    let greatest = numbers.enumerate().fold((0, f64::NEG_INFINITY), |best, (i, number)| {
        if number > best.1 { (i, number) } else { best }
    });
    greatest.0
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The sample standard deviation; none for fewer than two values.
fn deviation(values: &[f64]) -> Option<f64> {
    let mean = mean(values);
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (values.len() > 1).then(|| (squares / (values.len() - 1) as f64).sqrt())
}

/// The bootstrap standard error of a perplexity, from the log-likelihoods of the items.
fn bootstrap(logprobs: &[f64]) -> Option<f64> {
    let draws = |seed| {
        let mut random = Random::new(seed);
        (0..DRAWS).map(move |_| {
            let sum: f64 =
                random.choices(logprobs.len(), logprobs.len()).map(|i| logprobs[i]).sum();
            (-sum / logprobs.len() as f64).exp()
        })
    };
    let perplexities: Vec<f64> = (0..SEEDS).into_par_iter().flat_map_iter(draws).collect();
    deviation(&perplexities).filter(|_| logprobs.len() > 1)
}
