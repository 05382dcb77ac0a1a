//! [`Errors`]: how well a fit predicts the tokens that it was fitted to, and the held-out ones.

use faer::{Mat, MatRef};

use super::{Regression, dot, product};
use crate::error::RidgeError;

/// Mean squared errors per token of a fit, over the targets of the most energy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Errors {
    /// On the tokens that were fitted.
    pub fitted: f64,
    /// On the held-out tokens.
    pub held_out: f64,
    /// The mean square of the targets per fitted token.
    pub energy: f64,
}

/// The largest number of targets that errors are computed of.
const TARGETS: usize = 96;

/// Errors below this part of the energy are rounding errors of float32.
const ROUNDING: f64 = 1e-5;

impl Errors {
    /// The errors of the fit to the first of `sums` with the penalty `strength`, whose product of
    /// inputs and targets is `target`. `None` if the sums of squares are not known.
    pub(super) fn of(
        [fitted, held_out]: [&Regression; 2],
        strength: f64,
        prior: MatRef<'_, f64>,
        target: impl Fn(usize, usize) -> f64,
    ) -> Result<Option<Self>, RidgeError> {
        let (Some(squares), Some(others)) = (&fitted.squares, &held_out.squares) else {
            return Ok(None);
        };
        let mut targets: Vec<usize> = (0..squares.len()).collect();
        targets.sort_by(|a, b| squares[*b].total_cmp(&squares[*a]).then(a.cmp(b)));
        targets.truncate(TARGETS);
        let right = Mat::from_fn(prior.nrows(), targets.len(), |i, j| target(i, targets[j]));
        let prior = columns(prior, &targets);
        let weight = fitted.solve(strength, right, prior.as_ref())?;
        let energy =
            |squares: &[f64]| -> f64 { targets.iter().map(|target| squares[*target]).sum() };
        let error = |sums: &Regression, squares: &[f64]| {
            let weight = weight.as_ref();
            let out = product(sums.gram.as_ref(), weight);
            let cross = columns(sums.cross.as_ref(), &targets);
            let error =
                energy(squares) - 2.0 * dot(weight, cross.as_ref()) + dot(weight, out.as_ref());
            error.max(0.0) / sums.tokens.max(1) as f64
        };
        Ok(Some(Self {
            fitted: error(fitted, squares),
            held_out: error(held_out, others),
            energy: energy(squares) / fitted.tokens.max(1) as f64,
        }))
    }

    /// The held-out error divided by the fitted one: about 1 if the fit holds for other text too.
    pub fn ratio(&self) -> f64 {
        let rounding = (ROUNDING * self.energy).max(f64::MIN_POSITIVE);
        (self.held_out + rounding) / (self.fitted + rounding)
    }
}

/// Some columns of a matrix.
fn columns(matrix: MatRef<'_, f64>, which: &[usize]) -> Mat<f64> {
    Mat::from_fn(matrix.nrows(), which.len(), |i, j| matrix[(i, which[j])])
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;
    use burn::tensor::Device;
    use rand::SeedableRng;
    use rand_chacha::ChaCha20Rng;
    use rand_distr::{Distribution, StandardNormal};

    use crate::{Moments, Regression};

    const INPUTS: usize = 8;

    /// Random inputs, and targets that are the first three inputs with noise of variance 1.
    fn sums(tokens: usize, seed: u64, squares: bool) -> Regression {
        let rng = &mut ChaCha20Rng::seed_from_u64(seed);
        let mut normal = || -> f32 { StandardNormal.sample(&mut *rng) };
        let inputs: Vec<f32> = (0..tokens * INPUTS).map(|_| normal()).collect();
        let targets: Vec<f32> =
            inputs.chunks(INPUTS).flat_map(|x| [x[0], x[1], x[2]]).map(|x| x + normal()).collect();
        let mut sum = vec![0.0; 3];
        for (index, target) in targets.iter().enumerate() {
            sum[index % 3] += f64::from(*target).powi(2);
        }
        let mut moments = Moments::new(INPUTS, 3);
        moments.add_rows(inputs, targets, &Device::flex());
        let regression = Regression::new(moments, false).unwrap();
        if squares { regression.with_squares(sum) } else { regression }
    }

    /// The errors of a fit whose prior is `prior` times the right weight.
    fn errors(tokens: [usize; 2], prior: f64, squares: bool) -> Option<super::Errors> {
        let dense = faer::Mat::from_fn(INPUTS, 3, |i, j| if i == j { prior } else { 0.0 });
        let kept: Vec<usize> = (0..INPUTS).collect();
        let [fitted, held_out] = [(tokens[0], 1), (tokens[1], 2)];
        let held_out = sums(held_out.0, held_out.1, squares);
        let fit = sums(fitted.0, fitted.1, squares).fit(Some(held_out), dense.as_ref(), &kept);
        fit.unwrap().errors
    }

    #[test]
    fn many_tokens_have_the_same_error_in_both_parts() {
        let found = errors([6000, 6000], 1.0, true).unwrap();
        // Three targets with noise of variance 1.
        assert_relative_eq!(found.fitted, 3.0, max_relative = 0.1);
        assert_relative_eq!(found.held_out, 3.0, max_relative = 0.1);
        assert_relative_eq!(found.energy, 6.0, max_relative = 0.1);
        assert_relative_eq!(found.ratio(), 1.0, max_relative = 0.1);
    }

    #[test]
    fn errors_need_sums_of_squares() {
        assert_eq!(errors([50, 50], 1.0, false), None);
    }

    #[test]
    fn a_fit_to_few_tokens_has_a_larger_error_on_others() {
        // The prior is wrong, so that validation chooses a fit that follows the few tokens.
        let found = errors([20, 6000], -1.0, true).unwrap();
        assert!(found.held_out > 3.0, "{found:?}");
        assert!(found.ratio() > 1.4, "{found:?}");
    }

    #[test]
    fn a_fit_without_an_error_has_the_ratio_of_rounding_errors() {
        let none = super::Errors { fitted: 0.0, held_out: 0.0, energy: 4.0 };
        assert_relative_eq!(none.ratio(), 1.0);
        let little = super::Errors { fitted: 0.1, held_out: 0.4, energy: 4.0 };
        assert_relative_eq!(little.ratio(), 4.0, max_relative = 1e-3);
        let nothing = super::Errors { fitted: 0.0, held_out: 0.0, energy: 0.0 };
        assert_relative_eq!(nothing.ratio(), 1.0);
    }
}
