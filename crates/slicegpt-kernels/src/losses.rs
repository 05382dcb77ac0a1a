//! Losses of rows of logits, with their gradients in place of the logits.

use crate::elementwise::{exp, greatest};
use crate::isa::{Instructions, Kernel, run};

/// The negative log-likelihood of `label` under the logits `row`. The row becomes the gradient of
/// `factor` times it: `factor (softmax(row) - onehot(label))`. Not finite where a logit is not.
///
/// # Panics
///
/// If the row has no such label.
pub fn likelihood_of_row(row: &mut [f32], label: usize, factor: f64) -> f64 {
    let logit = row[label];
    let [greatest, sum] = run(Softmax { row, temperature: 1.0, factor: factor as f32 });
    row[label] -= factor as f32;
    greatest + sum.ln() - f64::from(logit)
}

/// The loss `mix T^2 KL(teacher || student) + (1 - mix) NLL` of the logits `row` of a student and
/// `teacher` of its teacher, both distributions of the divergence at temperature `T` (Hinton et
/// al., arXiv 1503.02531), and the negative log-likelihood of `label` alone. The row becomes the
/// gradient of `factor` times the loss; `teacher` is overwritten.
///
/// # Panics
///
/// If the row has no such label, or the rows have different lengths.
pub fn distillation_of_row(
    row: &mut [f32],
    label: usize,
    teacher: &mut [f32],
    [temperature, mix]: [f64; 2],
    factor: f64,
) -> [f64; 2] {
    assert_eq!(row.len(), teacher.len(), "a teacher has the vocabulary of its student");
    let t = temperature as f32;
    let divergence = crate::divergence::at_temperature(teacher, row, t);
    let likelihood = (mix < 1.0).then(|| row.to_vec());
    // The gradient of the divergence is (q - p) / T, and the loss has a factor T^2.
    let soft = (factor * mix * temperature) as f32;
    let logit = row[label];
    let nll = {
        let [greatest, sum] = run(SumOfExponentials { row, temperature: 1.0 });
        greatest + sum.ln() - f64::from(logit)
    };
    run(Softmax { row, temperature: t, factor: soft });
    run(Softmax { row: teacher, temperature: t, factor: soft });
    row.iter_mut().zip(&*teacher).for_each(|(q, p)| *q -= p);
    if let Some(mut hard) = likelihood {
        likelihood_of_row(&mut hard, label, factor * (1.0 - mix));
        row.iter_mut().zip(&hard).for_each(|(sum, x)| *sum += x);
    }
    [mix * temperature.powi(2) * divergence + (1.0 - mix) * nll, nll]
}

/// The number of partial sums.
const LANES: usize = 32;

/// Numbers that are summed in float32 before their sum is added in float64.
const SHORT: usize = 1024;

/// `m / T` and the sum of `e^((x - m) / T)`, where `m` is the greatest number of the row.
struct SumOfExponentials<'a> {
    row: &'a [f32],
    temperature: f32,
}

impl Kernel for SumOfExponentials<'_> {
    type Output = [f64; 2];

    #[inline(always)]
    fn run<I: Instructions>(self, isa: I) -> [f64; 2] {
        let m = greatest(self.row);
        let inverse = self.temperature.recip();
        let mut total = 0.0;
        for part in self.row.chunks(SHORT) {
            let mut sums = [0.0f32; LANES];
            let (whole, rest) = part.as_chunks::<LANES>();
            for x in whole {
                for lane in 0..LANES {
                    sums[lane] += exp(isa, (x[lane] - m) * inverse);
                }
            }
            for (sum, x) in sums.iter_mut().zip(rest) {
                *sum += exp(isa, (x - m) * inverse);
            }
            total += f64::from(sums.iter().sum::<f32>());
        }
        [f64::from(m * inverse), total]
    }
}

/// `factor softmax(row / T)`, in place. The output is that of [`SumOfExponentials`].
struct Softmax<'a> {
    row: &'a mut [f32],
    temperature: f32,
    factor: f32,
}

impl Kernel for Softmax<'_> {
    type Output = [f64; 2];

    #[inline(always)]
    fn run<I: Instructions>(self, isa: I) -> [f64; 2] {
        let Self { row, temperature, factor } = self;
        let m = greatest(row);
        let sums = SumOfExponentials { row, temperature }.run(isa);
        let (inverse, share) = (temperature.recip(), factor / sums[1] as f32);
        for x in row {
            *x = share * exp(isa, (*x - m) * inverse);
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(length: usize, seed: usize) -> Vec<f32> {
        (0..length).map(|i| ((i * 37 + seed * 11) % 101) as f32 * 0.13 - 5.0).collect()
    }

    fn softmax(row: &[f32], t: f64) -> Vec<f64> {
        let exponentials = row.iter().map(|x| (f64::from(*x) / t).exp());
        let sum: f64 = exponentials.clone().sum();
        exponentials.map(|x| x / sum).collect()
    }

    #[test]
    fn a_likelihood_and_its_gradient() {
        for length in [2, 33, 2500] {
            let logits = row(length, 1);
            let exact = softmax(&logits, 1.0);
            let mut found = logits.clone();
            let nll = likelihood_of_row(&mut found, 1, 0.25);
            assert!((nll + exact[1].ln()).abs() < 1e-5, "{length}: {nll}");
            for (at, (found, p)) in found.iter().zip(&exact).enumerate() {
                let expected = 0.25 * (p - f64::from(u8::from(at == 1)));
                assert!((f64::from(*found) - expected).abs() < 1e-6, "{length}, {at}");
            }
        }
    }

    #[test]
    fn a_distillation_and_its_gradient() {
        for (length, mix) in [(2, 1.0), (33, 0.3), (2500, 0.0)] {
            let (logits, teacher) = (row(length, 1), row(length, 2));
            let (t, factor) = (1.7, 0.5);
            let [p, q] = [&teacher, &logits].map(|row| softmax(row, t));
            let hard = softmax(&logits, 1.0);
            let divergence: f64 = p.iter().zip(&q).map(|(p, q)| p * (p / q).ln()).sum();
            let expected = mix * t * t * divergence - (1.0 - mix) * hard[1].ln();
            let mut found = logits.clone();
            let [loss, nll] =
                distillation_of_row(&mut found, 1, &mut teacher.clone(), [t, mix], factor);
            assert!((loss - expected).abs() < 2e-5, "{length}: {loss}, {expected}");
            assert!((nll + hard[1].ln()).abs() < 1e-5, "{length}: {nll}");
            for (at, found) in found.iter().enumerate() {
                let label = f64::from(u8::from(at == 1));
                let expected =
                    factor * (mix * t * (q[at] - p[at]) + (1.0 - mix) * (hard[at] - label));
                assert!((f64::from(*found) - expected).abs() < 1e-6, "{length}, {at}");
            }
        }
    }

    #[test]
    fn logits_that_are_not_finite_give_no_finite_loss() {
        for bad in [f32::NAN, f32::INFINITY] {
            let mut logits = row(40, 1);
            logits[7] = bad;
            assert!(!likelihood_of_row(&mut logits, 1, 1.0).is_finite(), "{bad}");
        }
    }
}
