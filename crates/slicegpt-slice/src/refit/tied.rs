//! [`TiedHead`]: a head that stays the embedding after slicing, and the weight of the last norm.
//!
//! A tied head computes `norm(x) diag(g) E^T`. Cut to a basis `V`, the embedding becomes `E V` and
//! the head `E diag(g) V`: they would no longer be tied. But the basis may be rotated within its
//! span. With
//!
//! ```text
//! V^T diag(g) V = R diag(l) R^T        (symmetric, d x d)            V <- V R
//! ```
//!
//! `E diag(g) V ~ E V V^T diag(g) V = E V diag(l)`: the head is the embedding again, and `l` is the
//! weight of the last norm ([`slicegpt_calibrate::align`]). The error is the part of `E` outside
//! the kept subspace. A refit minimises it by least squares on the logits: with `a` the normalised
//! sliced stream, `t` the input of the dense head, and `E' = E V`,
//!
//! ```text
//! (a^T a o E'^T E') l = diag(a^T t (diag(g) E^T E'))                 o: element by element
//! ```
//!
//! The bias of a LayerNorm becomes a bias of the head.

use faer::linalg::solvers::Solve;
use faer::{Mat, Side};
use slicegpt_calibrate::{AnalysisError, Moments, NotFinite, Ridge, RidgeError};
use slicegpt_core::Basis;

/// The last norm and the bias of a head that is the embedding.
#[derive(Clone, Debug, PartialEq)]
pub struct TiedHead {
    /// `l`, `[rank]`.
    pub weight: Vec<f64>,
    /// `[hidden_size]`: the product of a row of the dense table with it is added to the bias of the
    /// row's logit. `None` if the norm has no bias.
    pub shift: Option<Vec<f64>>,
}

impl TiedHead {
    /// A head without a refit: `weight` is the result of [`slicegpt_calibrate::align`], `bias` is
    /// that of the dense norm, `[hidden_size]`.
    pub fn plain(weight: Vec<f64>, bias: Option<Vec<f64>>) -> Self {
        Self { weight, shift: bias }
    }

    /// Refits a plain head.
    ///
    /// - `here`: moments of the normalised sliced stream on the normalised dense one, before the
    ///   head
    /// - `table`: moments of the rows of the cut embedding, `E'`, on those of the dense head, `E
    ///   diag(g)`
    /// - `gain`: `g`, `[hidden_size]`
    /// - `centers`: whether the dense norms centre the stream
    ///
    /// # Errors
    ///
    /// See [`RidgeError`].
    pub fn refit(
        self,
        ridge: &Ridge,
        here: &Moments,
        table: &Moments,
        basis: &Basis,
        gain: &[f64],
        centers: bool,
    ) -> Result<Self, RidgeError> {
        let Self { weight: prior, shift: bias } = self;
        let [gram, cross] = here.sums().map_err(|NotFinite| AnalysisError::ActivationsNotFinite)?;
        let [rows, head] = table.sums().map_err(|NotFinite| AnalysisError::WeightsNotFinite)?;
        let (rank, width) = (basis.rank(), basis.hidden_size());
        let tokens = gram[(rank, rank)].max(f64::MIN_POSITIVE);
        let mean = |i: usize| if bias.is_some() { gram[(rank, i)] / tokens } else { 0.0 };
        let dense_mean = |j: usize| if bias.is_some() { cross[(rank, j)] / tokens } else { 0.0 };
        let means: Vec<f64> = (0..rank).map(mean).collect();
        let dense_means: Vec<f64> = (0..width).map(dense_mean).collect();
        let mut normal = Mat::zeros(rank, rank);
        for j in 0..rank {
            for i in j..rank {
                normal[(i, j)] = (gram[(i, j)] - tokens * means[i] * means[j]) * rows[(i, j)];
            }
        }
        let diagonal = (0..rank).map(|i| normal[(i, i)]).sum::<f64>() / rank as f64;
        let strength = ridge.strength(rank, here.tokens());
        let penalty = strength * diagonal.max(f64::MIN_POSITIVE);
        let mut weight = Mat::from_fn(rank, 1, |i, _| {
            let explained: f64 = (0..width)
                .map(|k| (cross[(i, k)] - tokens * means[i] * dense_means[k]) * head[(i, k)])
                .sum();
            explained + penalty * prior[i]
        });
        (0..rank).for_each(|i| normal[(i, i)] += penalty);
        let factor = normal.llt(Side::Lower).map_err(|_| RidgeError::Singular)?;
        factor.solve_in_place(&mut weight);
        let weight: Vec<f64> = (0..rank).map(|i| weight[(i, 0)]).collect();
        let shift = bias.map(|bias| {
            // The mean of the sliced stream, scaled by the new weight, in dense coordinates.
            let scaled: Vec<f64> = weight.iter().zip(&means).map(|(l, mean)| l * mean).collect();
            let row = |row: &[f64]| row.iter().zip(&scaled).map(|(x, y)| x * y).sum::<f64>();
            let mean: Vec<f64> = basis.values().chunks_exact(rank).map(row).collect();
            let center = if centers { mean.iter().sum::<f64>() / width as f64 } else { 0.0 };
            let missing = |i: usize| gain[i] * dense_means[i] - (mean[i] - center);
            (0..width).map(|i| bias[i] + missing(i) / (1.0 + strength)).collect()
        });
        Ok(Self { weight, shift })
    }
}
