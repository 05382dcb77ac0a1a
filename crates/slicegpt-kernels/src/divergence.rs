//! Kullback-Leibler divergence of two distributions over a vocabulary, from their logits.

use burn::tensor::Tensor;
use rayon::prelude::*;

use crate::elementwise::{exp, greatest};
use crate::isa::{Instructions, Kernel, run};
use crate::view::View;

/// How two distributions over the next token compare.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RowDivergence {
    /// `KL(base || other)` in nats; not finite where a logit is not.
    pub nats: f64,
    /// Whether both have the same most likely token. Of equal logits, the first counts.
    pub agree: bool,
}

/// Compares the rows of two tensors of logits.
///
/// # Shapes
/// - `base`, `other`: `[rows, vocab_size]`
/// - output: `[rows]`
///
/// # Panics
///
/// If the shapes differ, or one is not [host float32](crate::is_host_f32).
pub fn divergence_of_rows(base: Tensor<2>, other: Tensor<2>) -> Vec<RowDivergence> {
    assert_eq!(base.dims(), other.dims(), "two decoders over one vocabulary");
    let [_, vocab_size] = base.dims();
    let [base, other] = [base, other].map(View::of);
    let rows = base.values().par_chunks(vocab_size).zip(other.values().par_chunks(vocab_size));
    let compare = |(base, other)| run(Divergence { base, other, temperature: 1.0 });
    rows.map(compare).collect()
}

/// `KL(base || other)` in nats of two rows of logits, both divided by `temperature`.
pub(crate) fn at_temperature(base: &[f32], other: &[f32], temperature: f32) -> f64 {
    run(Divergence { base, other, temperature }).nats
}

/// The number of partial sums kept for each sum.
const LANES: usize = 32;

/// Compares one row. With the greatest logits `m` and `m'`, `w = e^(x - m)` and `w' = e^(x' - m')`:
///
/// ```text
/// KL = sum w ((x - m) - (x' - m')) / sum w - log(sum w) + log(sum w')
/// ```
struct Divergence<'a> {
    base: &'a [f32],
    other: &'a [f32],
    /// What all logits are divided by.
    temperature: f32,
}

impl Kernel for Divergence<'_> {
    type Output = RowDivergence;

    #[inline(always)]
    fn run<I: Instructions>(self, isa: I) -> RowDivergence {
        /// How many numbers are summed in float32 before their sum is added in float64.
        const SHORT: usize = 1024;
        let (m, m2) = (greatest(self.base), greatest(self.other));
        let inverse = self.temperature.recip();
        let [mut weights, mut weights2, mut products] = [0.0f64; 3];
        for (base, other) in self.base.chunks(SHORT).zip(self.other.chunks(SHORT)) {
            let mut sums = [[0.0f32; LANES]; 3];
            let (whole, rest) = base.as_chunks::<LANES>();
            let (whole2, rest2) = other.as_chunks::<LANES>();
            for (base, other) in whole.iter().zip(whole2) {
                for lane in 0..LANES {
                    let (x, x2) = (base[lane] - m, other[lane] - m2);
                    add(isa, &mut sums, lane, inverse * x, inverse * x2);
                }
            }
            for (lane, (x, x2)) in rest.iter().zip(rest2).enumerate() {
                add(isa, &mut sums, lane, inverse * (x - m), inverse * (x2 - m2));
            }
            let [sum, sum2, product] = sums.map(|sums| sums.iter().sum::<f32>());
            weights += f64::from(sum);
            weights2 += f64::from(sum2);
            products += f64::from(product);
        }
        let first = |row: &[f32], greatest: f32| row.iter().position(|x| *x == greatest);
        RowDivergence {
            nats: products / weights - weights.ln() + weights2.ln(),
            agree: first(self.base, m) == first(self.other, m2),
        }
    }
}

/// Adds `w`, `w'` and `w (x - x')` to the sums of a lane.
#[inline(always)]
fn add<I: Instructions>(isa: I, sums: &mut [[f32; LANES]; 3], lane: usize, x: f32, x2: f32) {
    let weight = exp(isa, x);
    sums[0][lane] += weight;
    sums[1][lane] += exp(isa, x2);
    sums[2][lane] += weight * (x - x2);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::Isa;

    fn row(length: usize, seed: usize) -> Vec<f32> {
        (0..length).map(|i| ((i * 37 + seed * 11) % 101) as f32 * 0.13 - 5.0).collect()
    }

    #[test]
    fn it_is_the_divergence_of_float64() {
        for isa in Isa::available() {
            for length in [1, 2, 31, 33, 100, 2500] {
                let (base, other) = (row(length, 1), row(length, 2));
                let log_softmax = |row: &[f32]| -> Vec<f64> {
                    let total: f64 = row.iter().map(|x| f64::from(*x).exp()).sum();
                    row.iter().map(|x| f64::from(*x) - total.ln()).collect()
                };
                let terms = log_softmax(&base).into_iter().zip(log_softmax(&other));
                let exact: f64 = terms.map(|(p, q)| p.exp() * (p - q)).sum();
                let found = isa.run(Divergence { base: &base, other: &other, temperature: 1.0 });
                assert!((found.nats - exact).abs() < 2e-6, "{length}: {found:?}, {exact}");
                let same = isa.run(Divergence { base: &base, other: &base, temperature: 1.0 });
                assert!(same.nats.abs() < 1e-12 && same.agree, "{same:?}");
            }
        }
    }

    #[test]
    fn damage_is_not_hidden() {
        for bad in [f32::NAN, f32::INFINITY] {
            let (base, mut other) = (row(40, 1), row(40, 2));
            other[7] = bad;
            for (base, other) in [(&base, &other), (&other, &base)] {
                let found = run(Divergence { base, other, temperature: 1.0 });
                assert!(!found.nats.is_finite(), "{bad}");
            }
        }
    }
}
