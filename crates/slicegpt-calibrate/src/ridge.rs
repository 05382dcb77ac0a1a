//! [`Ridge`]: linear regression with a prior, solved from [`Moments`] alone.

use faer::linalg::solvers::Solve;
use faer::{Mat, MatRef, Side};

use crate::error::{AnalysisError, RidgeError};
use crate::moments::Moments;

/// Ridge regression of targets on inputs with a prior `W0`, towards which the penalty pulls the
/// solution:
///
/// ```text
/// W = argmin || x W - y ||^2 + r || W - W0 ||^2   =   (x^T x + r I)^-1 (x^T y + r W0)
/// ```
///
/// `r` is [`Ridge::strength`] times the mean of the diagonal of `x^T x`: `lambda`, plus a term that
/// grows as there are fewer tokens for each input. If a constant is fitted too, the means of `x`
/// and `y` are subtracted first, and the constant has its own prior of the same strength.
///
/// # Example
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use faer::Mat;
/// use slicegpt_calibrate::{Moments, Ridge};
///
/// // One input, one target, 100 tokens: y = 2 x.
/// let x: Vec<f32> = (0..100).map(|i| i as f32 / 100.0).collect();
/// let y = x.iter().map(|x| 2.0 * x).collect();
/// let mut moments = Moments::new(1, 1);
/// moments.add_rows(x, y, &Device::flex());
///
/// let prior = Mat::<f64>::zeros(1, 1);
/// let fit = Ridge { lambda: 0.0 }.solve(&moments, prior.as_ref(), None)?;
/// assert!((fit.matrix[(0, 0)] - 2.0).abs() < 0.01);
/// # Ok::<(), slicegpt_calibrate::RidgeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ridge {
    /// The penalty relative to the mean of the diagonal of `x^T x`, in the limit of many tokens.
    pub lambda: f64,
}

impl Default for Ridge {
    fn default() -> Self {
        Self { lambda: 0.001 }
    }
}

/// A map found by regression: `y ~ x matrix + shift`.
pub struct Affine {
    /// `[inputs, targets]`.
    pub matrix: Mat<f64>,
    /// The constant, `[targets]`; `None` where none was asked for.
    pub shift: Option<Vec<f64>>,
}

/// What is added to the strength of a ridge if there are as many tokens as inputs. Measured on
/// small models, from a quarter of a token for each input to a hundred: `docs/quality.md`.
const SCARCITY: f64 = 24.0;

impl Ridge {
    /// The penalty relative to the mean of the diagonal of `x^T x`, for a fit of `inputs` inputs to
    /// `tokens` tokens: `lambda + 24 (inputs / tokens)^2`.
    ///
    /// With fewer tokens than inputs the regression is underdetermined, and with slightly more it
    /// is dominated by noise. The prior then weighs more.
    pub fn strength(&self, inputs: usize, tokens: u64) -> f64 {
        let scarcity = inputs as f64 / tokens.max(1) as f64;
        self.lambda + SCARCITY * scarcity.powi(2)
    }

    /// Solves for the map, with `prior`, `[inputs, targets]`, as its prior and, if a constant is to
    /// be fitted, `shift`, `[targets]`, as the prior of that constant. Without tokens the result is
    /// the prior.
    ///
    /// # Errors
    ///
    /// If the sums are not finite, or the normal equations are singular: see [`RidgeError`].
    ///
    /// # Panics
    ///
    /// If `prior` has another shape.
    pub fn solve(
        &self,
        moments: &Moments,
        prior: MatRef<'_, f64>,
        shift: Option<&[f64]>,
    ) -> Result<Affine, RidgeError> {
        let [gram, cross] = moments.sums().map_err(AnalysisError::activations)?;
        let (inputs, targets) = (moments.inputs(), cross.ncols());
        assert_eq!([prior.nrows(), prior.ncols()], [inputs, targets], "the shape of the prior");
        if moments.tokens() == 0 {
            return Ok(Affine { matrix: prior.to_owned(), shift: shift.map(<[f64]>::to_vec) });
        }
        let constant = shift.is_some();
        let strength = self.strength(inputs, moments.tokens());
        // The last row holds the sums of each column, and in the corner the total weight of all
        // tokens.
        let tokens = gram[(inputs, inputs)].max(f64::MIN_POSITIVE);
        let mean = |i: usize| if constant { gram[(inputs, i)] / tokens } else { 0.0 };
        let target_mean = |j: usize| if constant { cross[(inputs, j)] / tokens } else { 0.0 };
        let means: Vec<f64> = (0..inputs).map(mean).collect();
        let target_means: Vec<f64> = (0..targets).map(target_mean).collect();
        let mut normal = Mat::zeros(inputs, inputs);
        for j in 0..inputs {
            for i in j..inputs {
                normal[(i, j)] = gram[(i, j)] - tokens * means[i] * means[j];
            }
        }
        let diagonal = (0..inputs).map(|i| normal[(i, i)]).sum::<f64>() / inputs as f64;
        // If all inputs are zero every weight fits equally well; the penalty then selects the
        // prior.
        let penalty = strength * diagonal.max(f64::MIN_POSITIVE);
        (0..inputs).for_each(|i| normal[(i, i)] += penalty);
        let right = Mat::from_fn(inputs, targets, |i, j| {
            cross[(i, j)] - tokens * means[i] * target_means[j] + penalty * prior[(i, j)]
        });
        let factor = normal.llt(Side::Lower).map_err(|_| RidgeError::Singular)?;
        drop(normal);
        let mut matrix = right;
        factor.solve_in_place(&mut matrix);
        let shift = shift.map(|prior| {
            let shift = |j: usize| {
                let explained: f64 =
                    means.iter().enumerate().map(|(i, m)| m * matrix[(i, j)]).sum();
                prior[j] + (target_means[j] - explained - prior[j]) / (1.0 + strength)
            };
            (0..targets).map(shift).collect()
        });
        Ok(Affine { matrix, shift })
    }
}
