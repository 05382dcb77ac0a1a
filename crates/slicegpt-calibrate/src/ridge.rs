//! [`Ridge`]: linear regression that leans towards what is known, from [`Moments`] alone.

use faer::linalg::solvers::Solve;
use faer::{Mat, MatRef, Side};

use crate::{Moments, NotFinite};

/// Ridge regression of targets on inputs, leaning towards a prior:
///
/// ```text
/// W = argmin || x W - y ||^2 + r || W - W0 ||^2   =   (x^T x + r I)^-1 (x^T y + r W0)
/// ```
///
/// with `r` a multiple of the mean of the diagonal of `x^T x`: of `lambda`, and more the fewer tokens
/// there are for each input ([`Ridge::strength`]). With a constant, `x` and `y` are taken less their
/// means, and the constant leans towards its own prior as strongly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ridge {
    /// Times the mean of the diagonal, with as many tokens as one likes.
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
    /// `[targets]`; nothing where no constant was asked for.
    pub shift: Option<Vec<f64>>,
}

/// Why there is no regression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RidgeError {
    /// The signals are damaged.
    #[error(transparent)]
    NotFinite(#[from] NotFinite),
    /// The normal equations are singular in float64.
    #[error("the normal equations of the refit are singular; raise the lambda of --refit")]
    Singular,
}

/// What is added to the strength of a ridge where there are as many tokens as inputs. Measured on small models, from a
/// quarter of a token for each input to a hundred: `docs/quality.md`.
const SCARCITY: f64 = 24.0;

impl Ridge {
    /// What the mean of the diagonal is multiplied by, for so many inputs fitted to so many tokens.
    ///
    /// With fewer tokens than inputs the fit is not determined, and with few more it is mostly noise:
    /// then what is known weighs more.
    pub fn strength(&self, inputs: usize, tokens: u64) -> f64 {
        let scarcity = inputs as f64 / tokens.max(1) as f64;
        self.lambda + SCARCITY * scarcity.powi(2)
    }

    /// Solves for the map, leaning towards `prior`, `[inputs, targets]`, and, if there is to be one, for
    /// a constant, leaning towards `shift`, `[targets]`.
    ///
    /// # Errors
    ///
    /// See [`RidgeError`].
    ///
    /// # Panics
    ///
    /// If `prior` is of another shape.
    pub fn solve(
        &self,
        moments: &Moments,
        prior: MatRef<'_, f64>,
        shift: Option<&[f64]>,
    ) -> Result<Affine, RidgeError> {
        let [gram, cross] = moments.sums()?;
        let (inputs, targets) = (moments.inputs(), cross.ncols());
        assert_eq!([prior.nrows(), prior.ncols()], [inputs, targets], "a prior of the same shape");
        if moments.tokens() == 0 {
            return Ok(Affine { matrix: prior.to_owned(), shift: shift.map(<[f64]>::to_vec) });
        }
        let constant = shift.is_some();
        let strength = self.strength(inputs, moments.tokens());
        // The last row holds sums, and how much all tokens count.
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
        // Where all inputs are zero any weight will do, so take what is known.
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
