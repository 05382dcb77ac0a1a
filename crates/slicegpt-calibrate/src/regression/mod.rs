//! [`Regression`]: the normal equations of a linear layer, the choice of the inputs to keep, and
//! fits whose strength held-out tokens decide. It knows no tokens, only their sums.

mod errors;
mod held_out;
mod removal;

pub use errors::Errors;
pub use held_out::Fit;

use faer::linalg::matmul::matmul;
use faer::linalg::solvers::{Llt, Solve};
use faer::{Accum, Mat, MatRef, Side, get_global_parallelism};

use crate::error::{AnalysisError, RidgeError};
use crate::moments::Moments;

/// Sums over tokens for a layer with inputs `x` and targets `y`: `G = x^T x` and `C = x^T y`. If
/// the layer has a bias, its last input is the constant 1.
pub struct Regression {
    /// `[inputs, inputs]`, both triangles.
    gram: Mat<f64>,
    /// `[inputs, targets]`.
    cross: Mat<f64>,
    /// The sum of the squares of each target; `None` if they are not known.
    squares: Option<Vec<f64>>,
    tokens: u64,
    bias: bool,
}

impl Regression {
    /// The equations of `moments`. `bias` says whether the layer has one.
    ///
    /// # Errors
    ///
    /// If a token that was added is not finite.
    pub fn new(moments: Moments, bias: bool) -> Result<Self, AnalysisError> {
        let tokens = moments.tokens();
        let count = moments.inputs() + usize::from(bias);
        let [mut gram, mut cross] = moments.into_sums().map_err(AnalysisError::activations)?;
        for j in 0..count {
            for i in 0..j {
                gram[(i, j)] = gram[(j, i)];
            }
        }
        gram.resize_with(count, count, |_, _| unreachable!("it only shrinks"));
        cross.resize_with(count, cross.ncols(), |_, _| unreachable!("it only shrinks"));
        Ok(Self { gram, cross, squares: None, tokens, bias })
    }

    /// Adds the sum over the tokens of the square of each target, with which a fit has an error.
    ///
    /// # Panics
    ///
    /// If there is not one number per target.
    pub fn with_squares(self, squares: Vec<f64>) -> Self {
        assert_eq!(squares.len(), self.cross.ncols(), "one sum of squares per target");
        Self { squares: Some(squares), ..self }
    }

    /// The number of inputs, with the constant.
    fn inputs(&self) -> usize {
        self.gram.nrows()
    }

    /// The same sums over the tokens of both.
    fn plus(&self, other: &Self) -> Self {
        Self {
            gram: &self.gram + &other.gram,
            cross: &self.cross + &other.cross,
            squares: None,
            tokens: self.tokens + other.tokens,
            bias: self.bias,
        }
    }

    /// The sums of some inputs only.
    fn of_inputs(&self, inputs: &[usize]) -> Self {
        let targets = self.cross.ncols();
        Self {
            gram: Mat::from_fn(inputs.len(), inputs.len(), |i, j| {
                self.gram[(inputs[i], inputs[j])]
            }),
            cross: Mat::from_fn(inputs.len(), targets, |i, j| self.cross[(inputs[i], j)]),
            squares: self.squares.clone(),
            tokens: self.tokens,
            bias: self.bias,
        }
    }

    /// What the rows `inputs` of `C` would be if `weight`, `[inputs, targets]`, were the layer: `(G
    /// W)[inputs]`.
    fn of_weight(&self, weight: MatRef<'_, f64>, inputs: &[usize]) -> Mat<f64> {
        let rows = Mat::from_fn(inputs.len(), self.inputs(), |i, j| self.gram[(inputs[i], j)]);
        product(rows.as_ref(), weight)
    }

    /// The penalty of each input at a strength relative to the mean of the diagonal of `G`. The
    /// constant is penalised relative to its own square.
    fn penalties(&self, strength: f64) -> Vec<f64> {
        self.penalties_of(&self.gram, strength)
    }

    /// [`Regression::penalties`] for another `G` of this layer.
    fn penalties_of(&self, gram: &Mat<f64>, strength: f64) -> Vec<f64> {
        let count = self.inputs() - usize::from(self.bias);
        let sum: f64 = (0..count).map(|i| gram[(i, i)]).sum();
        // If all inputs are zero every weight fits equally well; the penalty selects the prior.
        let penalty = strength * (sum / count.max(1) as f64).max(f64::MIN_POSITIVE);
        let mut all = vec![penalty; count];
        if self.bias {
            all.push((strength * gram[(count, count)]).max(f64::MIN_POSITIVE));
        }
        all
    }

    /// The Cholesky factor of `G` with these penalties on its diagonal.
    fn factor(&self, penalties: &[f64]) -> Result<Llt<f64>, RidgeError> {
        factored(self.gram.clone(), penalties)
    }

    /// `(G + r)^-1 (right + r prior)`.
    fn solve(
        &self,
        strength: f64,
        mut right: Mat<f64>,
        prior: MatRef<'_, f64>,
    ) -> Result<Mat<f64>, RidgeError> {
        let penalties = self.penalties(strength);
        add_scaled_rows(&mut right, &penalties, prior);
        self.factor(&penalties)?.solve_in_place(&mut right);
        Ok(right)
    }
}

/// The Cholesky factor of `gram` with these penalties on its diagonal.
fn factored(mut gram: Mat<f64>, penalties: &[f64]) -> Result<Llt<f64>, RidgeError> {
    penalties.iter().enumerate().for_each(|(i, penalty)| gram[(i, i)] += penalty);
    gram.llt(Side::Lower).map_err(|_| RidgeError::Singular)
}

/// `a b`.
fn product(a: MatRef<'_, f64>, b: MatRef<'_, f64>) -> Mat<f64> {
    let mut sum = Mat::zeros(a.nrows(), b.ncols());
    matmul(sum.as_mut(), Accum::Replace, a, b, 1.0, get_global_parallelism());
    sum
}

/// The sum of the products of corresponding entries: `tr(a^T b)`.
fn dot(a: MatRef<'_, f64>, b: MatRef<'_, f64>) -> f64 {
    (0..a.ncols())
        .map(|j| a.col(j).iter().zip(b.col(j).iter()).map(|(a, b)| a * b).sum::<f64>())
        .sum()
}

/// `sum += diag(factors) rows`.
fn add_scaled_rows(sum: &mut Mat<f64>, factors: &[f64], rows: MatRef<'_, f64>) {
    for j in 0..sum.ncols() {
        for (i, factor) in factors.iter().enumerate() {
            sum[(i, j)] += factor * rows[(i, j)];
        }
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;
    use burn::tensor::Device;
    use rand::SeedableRng;
    use rand_chacha::ChaCha20Rng;
    use rand_distr::{Distribution, StandardNormal};

    use super::*;

    const INPUTS: usize = 6;

    /// Inputs of which 4 is the sum of 0 and 1, up to noise, and what `weight` and a bias of 5 make
    /// of them, with noise.
    fn regression(tokens: usize, seed: u64, noise: f64, bias: bool) -> Regression {
        let rng = &mut ChaCha20Rng::seed_from_u64(seed);
        let mut normal = || -> f64 { StandardNormal.sample(&mut *rng) };
        let mut moments = Moments::new(INPUTS, 2);
        let (mut inputs, mut targets) = (Vec::new(), Vec::new());
        for _ in 0..tokens {
            let mut x: Vec<f64> = (0..INPUTS).map(|_| normal()).collect();
            x[4] = x[0] + x[1] + 0.01 * x[4];
            let weight = weight(false);
            for j in 0..2 {
                let y: f64 = (0..INPUTS).map(|i| x[i] * weight[(i, j)]).sum();
                targets.push((y + if bias { 5.0 } else { 0.0 } + noise * normal()) as f32);
            }
            inputs.extend(x.iter().map(|x| *x as f32));
        }
        moments.add_rows(inputs, targets, &Device::flex());
        Regression::new(moments, bias).unwrap()
    }

    fn weight(bias: bool) -> Mat<f64> {
        let constant = |i: usize| i == INPUTS;
        Mat::from_fn(INPUTS + usize::from(bias), 2, |i, j| {
            if constant(i) { 5.0 } else { 1.0 + 0.1 * (i + j) as f64 }
        })
    }

    fn channels() -> Vec<Vec<usize>> {
        (0..INPUTS).map(|i| vec![i]).collect()
    }

    #[test]
    fn an_input_that_others_can_replace_goes_first() {
        for bias in [false, true] {
            let all = regression(500, 1, 0.0, bias);
            // An input that nothing replaces has the least weight.
            let mut dense = weight(bias);
            (0..2).for_each(|j| dense[(3, j)] *= 0.5);
            let kept = all.keep(None, dense.as_ref(), &channels(), INPUTS - 1).unwrap();
            let gone: Vec<_> = (0..INPUTS).filter(|i| !kept.contains(i)).collect();
            assert!([0, 1, 4].contains(&gone[0]), "{gone:?}");
        }
    }

    #[test]
    fn groups_go_together() {
        // The group with the input that is replaceable also has one that is not.
        let groups = [vec![0, 4], vec![1, 2, 3], vec![5]];
        let all = regression(500, 2, 0.0, false);
        assert_eq!(all.keep(None, weight(false).as_ref(), &groups, 3).unwrap(), [0, 1, 2]);
        assert_eq!(all.keep(None, weight(false).as_ref(), &groups, 2).unwrap(), [0, 1]);
    }

    #[test]
    fn the_inputs_that_stay_make_up_for_the_one_that_goes() {
        for bias in [false, true] {
            let (fit, validation) = (regression(900, 3, 0.0, bias), regression(300, 4, 0.0, bias));
            let mut kept = vec![0, 1, 2, 3, 5];
            if bias {
                kept.push(INPUTS);
            }
            let found = fit.fit(Some(validation), weight(bias).as_ref(), &kept).unwrap();
            assert!(found.strength <= 1e-3, "{}", found.strength);
            // Input 4 was 0 plus 1.
            assert_relative_eq!(found.weight[(0, 0)], 1.0 + 1.4, epsilon = 0.01);
            assert_relative_eq!(found.weight[(1, 1)], 1.2 + 1.5, epsilon = 0.01);
            assert_relative_eq!(found.weight[(2, 0)], 1.2, epsilon = 0.01);
            if bias {
                assert_relative_eq!(found.weight[(5, 1)], 5.0, epsilon = 0.01);
            }
        }
    }

    /// A target that is nothing but noise leaves the layer as it is.
    #[test]
    fn noise_is_not_fitted() {
        let all: Vec<usize> = (0..INPUTS).collect();
        let dense = weight(false);
        let (fit, validation) = (regression(12, 5, 30.0, false), regression(4000, 6, 30.0, false));
        let found = fit.fit(Some(validation), dense.as_ref(), &all).unwrap();
        assert!(found.mix < 0.2 || found.strength >= 1.0, "{} {}", found.mix, found.strength);
        // Without noise the target is right, whatever the dense layer is.
        let wrong =
            Mat::from_fn(INPUTS, 2, |i, j| if i == 2 { -dense[(i, j)] } else { dense[(i, j)] });
        let (fit, validation) = (regression(900, 7, 0.0, false), regression(300, 8, 0.0, false));
        let found = fit.fit(Some(validation), wrong.as_ref(), &all).unwrap();
        assert!(found.mix > 0.9, "{}", found.mix);
        assert_relative_eq!(found.weight[(2, 0)], dense[(2, 0)], epsilon = 0.02);
    }

    #[test]
    fn without_tokens_the_prior_stays() {
        let none = Regression::new(Moments::new(INPUTS, 2), false).unwrap();
        let kept = vec![1, 3];
        let found = none.fit(None, weight(false).as_ref(), &kept).unwrap();
        for (row, input) in kept.into_iter().enumerate() {
            assert_relative_eq!(found.weight[(row, 1)], weight(false)[(input, 1)]);
        }
    }

    #[test]
    fn tokens_that_are_not_finite_are_an_error() {
        let mut moments = Moments::new(2, 1);
        moments.add_rows(vec![1.0, f32::NAN], vec![0.0], &Device::flex());
        let found = Regression::new(moments, false);
        assert_eq!(found.err(), Some(AnalysisError::ActivationsNotFinite));
    }
}
