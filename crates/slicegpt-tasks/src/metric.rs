//! [`Metric`]: what is counted of the answers of a model, and [`Scores`] of many of them.

use rayon::prelude::*;

use crate::random::Random;
use crate::{Item, Likelihood};

/// How often the error of a perplexity is drawn anew: as often as the harness does, which begins anew, from
/// another seed, after each thousand.
const SEEDS: u32 = 100;
const DRAWS: usize = 1000;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Whether the right choice is the most likely.
    Acc,
    /// Whether it is when logarithms are divided by the characters of each choice.
    AccNorm,
    /// Whether the continuation is what the model would have written.
    Greedy,
    /// The exponential of the mean of the negative logarithms.
    Perplexity,
}

impl Metric {
    /// As the harness calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Acc | Self::Greedy => "acc",
            Self::AccNorm => "acc_norm",
            Self::Perplexity => "perplexity",
        }
    }

    /// Whether more is better.
    pub fn higher_is_better(self) -> bool {
        self != Self::Perplexity
    }

    /// Of one item: what the metric is the mean of, or the exponential of the negative mean.
    pub fn of(self, item: &Item, answers: &Answers) -> f64 {
        let logs = answers.0.iter().map(|answer| answer.log);
        let right = |logs: &mut dyn Iterator<Item = f64>| {
            f64::from(u8::from(first_greatest(logs) == item.gold))
        };
        match self {
            Self::Acc => right(&mut logs.into_iter()),
            Self::AccNorm => {
                let lengths = item.lengths();
                right(&mut logs.zip(lengths).map(|(log, length)| log / length as f64))
            }
            Self::Greedy => f64::from(u8::from(answers.0[0].greedy)),
            Self::Perplexity => answers.0[0].log,
        }
    }
}

/// The likelihoods of the answers of an item, in their order.
#[derive(Clone, Debug, PartialEq)]
pub struct Answers(pub Vec<Likelihood>);

/// A metric of many items.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Value {
    /// Which.
    pub metric: Metric,
    /// Its value.
    pub value: f64,
    /// Its standard error; of one item there is none.
    pub error: Option<f64>,
}

/// The metrics of many items.
#[derive(Clone, Debug, PartialEq)]
pub struct Scores {
    /// How many items there are.
    pub items: usize,
    /// In the order of the task.
    pub values: Vec<Value>,
}

/// The metrics of items with what was answered.
///
/// The error of a mean is that of the sample; the error of a perplexity is drawn by bootstrap, with the
/// numbers that the harness draws.
pub fn scores(metrics: &[Metric], answered: &[(&Item, &Answers)]) -> Scores {
    let value = |metric: &Metric| {
        let of: Vec<f64> =
            answered.iter().map(|(item, answers)| metric.of(item, answers)).collect();
        let (value, error) = match metric {
            Metric::Perplexity => ((-mean(&of)).exp(), bootstrap(&of)),
            _ => (mean(&of), deviation(&of).map(|deviation| deviation / (of.len() as f64).sqrt())),
        };
        Value { metric: *metric, value, error }
    };
    Scores { items: answered.len(), values: metrics.iter().map(value).collect() }
}

impl Scores {
    /// The scores of several tasks as one: means weighted by the number of items, and the pooled error.
    ///
    /// # Panics
    ///
    /// If there are none, or their metrics are different.
    pub fn pooled(all: &[&Scores]) -> Scores {
        let items: usize = all.iter().map(|scores| scores.items).sum();
        let pooled = |place: usize| {
            let metric = all[0].values[place].metric;
            let each = || all.iter().map(|scores| (scores.items as f64, scores.values[place]));
            assert!(each().all(|(_, value)| value.metric == metric), "of the same metrics");
            let value = each().map(|(size, value)| size * value.value).sum::<f64>() / items as f64;
            let squares: Option<Vec<f64>> = each()
                .map(|(size, value)| value.error.map(|error| (size - 1.0) * error * error * size))
                .collect();
            let error = squares.map(|squares| {
                let variance = squares.iter().sum::<f64>() / (items - all.len()) as f64;
                (variance / items as f64).sqrt()
            });
            Value { metric, value, error }
        };
        Scores { items, values: (0..all[0].values.len()).map(pooled).collect() }
    }
}

/// The index of the greatest number; of equals the first.
fn first_greatest(numbers: &mut dyn Iterator<Item = f64>) -> usize {
    let greatest = numbers.enumerate().fold((0, f64::NEG_INFINITY), |best, (i, number)| {
        if number > best.1 { (i, number) } else { best }
    });
    greatest.0
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The standard deviation of a sample, of more than one.
fn deviation(values: &[f64]) -> Option<f64> {
    let mean = mean(values);
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (values.len() > 1).then(|| (squares / (values.len() - 1) as f64).sqrt())
}

/// The error of a perplexity whose items have these logarithms.
fn bootstrap(logs: &[f64]) -> Option<f64> {
    let draws = |seed| {
        let mut random = Random::new(seed);
        (0..DRAWS).map(move |_| {
            let sum: f64 = random.choices(logs.len(), logs.len()).map(|i| logs[i]).sum();
            (-sum / logs.len() as f64).exp()
        })
    };
    let perplexities: Vec<f64> = (0..SEEDS).into_par_iter().flat_map_iter(draws).collect();
    deviation(&perplexities).filter(|_| logs.len() > 1)
}
