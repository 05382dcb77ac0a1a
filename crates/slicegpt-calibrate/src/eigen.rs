//! Eigenvectors of a covariance, most important first.

use faer::{Mat, MatRef, Side};
use slicegpt_core::Basis;

use crate::{Covariance, NotFinite, Orientation};

/// The eigenvalues of a covariance: how much of the signal each direction carries.
#[derive(Clone, Debug, PartialEq)]
pub struct Spectrum {
    /// Descending, un-normalised: sums of squares over [`Spectrum::tokens`] tokens.
    pub eigenvalues: Vec<f64>,
    /// The number of tokens summed over.
    pub tokens: u64,
}

/// The `rank` leading eigenvectors of `covariance`, oriented as `orientation` says, and all its
/// eigenvalues.
///
/// All eigenvectors span everything: where `rank` is the whole width, the axes of [`Basis::axes`] do
/// as well and cost nothing, and unless the orientation is random they are what is given.
///
/// The decomposition is symmetric, in float64, on the host. Signs of eigenvectors are arbitrary,
/// but the same on every run.
///
/// # Errors
///
/// If the covariance is not finite.
///
/// # Panics
///
/// If `rank` is 0 or above the width of the signal.
pub fn principal(
    covariance: &Covariance,
    rank: usize,
    orientation: &mut Orientation,
) -> Result<(Basis, Spectrum), NotFinite> {
    let lower = covariance.lower()?;
    let width = lower.nrows();
    let tokens = covariance.tokens();
    if rank == width && matches!(orientation, Orientation::Pca) {
        let mut eigenvalues = lower.self_adjoint_eigenvalues(Side::Lower).map_err(|_| NotFinite)?;
        eigenvalues.reverse();
        return Ok((Basis::axes(width, width), Spectrum { eigenvalues, tokens }));
    }
    let Eigen { vectors, values: eigenvalues } = Eigen::of(lower)?;
    let leading = orientation.apply(vectors.subcols(0, rank).to_owned());
    let basis = basis_of(&leading);
    Ok((basis, Spectrum { eigenvalues, tokens }))
}

/// Eigenvectors by columns and eigenvalues, descending.
pub(crate) struct Eigen {
    pub vectors: Mat<f64>,
    pub values: Vec<f64>,
}

impl Eigen {
    /// Of a symmetric matrix, of which the lower triangle is read.
    pub fn of(matrix: MatRef<'_, f64>) -> Result<Self, NotFinite> {
        let width = matrix.nrows();
        let eigen = matrix.self_adjoint_eigen(Side::Lower).map_err(|_| NotFinite)?;
        // faer sorts eigenvalues in nondecreasing order.
        let (vectors, values) = (eigen.U(), eigen.S());
        Ok(Self {
            vectors: Mat::from_fn(width, width, |i, j| vectors[(i, width - 1 - j)]),
            values: (0..width).rev().map(|i| values[i]).collect(),
        })
    }
}

/// Orthonormal columns, `[hidden_size, rank]`, as a basis.
pub(crate) fn basis_of(columns: &Mat<f64>) -> Basis {
    let (width, rank) = (columns.nrows(), columns.ncols());
    let at = (0..width).flat_map(|i| (0..rank).map(move |j| (i, j)));
    Basis::new(at.map(|at| columns[at]).collect(), width, rank)
}

/// `basis` turned inside its subspace so that `V^T diag(gain) V` is diagonal, and that diagonal: what a
/// vector that scales every dimension, `[hidden_size]`, becomes in the subspace.
///
/// All coordinate axes stay as they are: there it is diagonal already.
///
/// # Errors
///
/// If a value is not finite.
pub fn align(basis: &Basis, gain: &[f64]) -> Result<(Basis, Vec<f64>), NotFinite> {
    if basis.is_identity() {
        return Ok((basis.clone(), gain.to_vec()));
    }
    let (width, rank) = (basis.hidden_size(), basis.rank());
    let v = MatRef::from_row_major_slice(basis.values(), width, rank);
    let scaled = Mat::from_fn(width, rank, |i, j| gain[i] * v[(i, j)]);
    let inside = v.transpose() * &scaled;
    let eigen = inside.self_adjoint_eigen(Side::Lower).map_err(|_| NotFinite)?;
    let turned = v * eigen.U();
    Ok((basis_of(&turned), (0..rank).map(|i| eigen.S()[i]).collect()))
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution, Tensor};

    use super::*;

    /// `H B = B diag(lambda)` and `B^T B = I`, to the precision of float64.
    #[test]
    fn defining_identity() {
        for (width, tokens) in [(1, 3), (5, 40), (16, 9), (33, 100)] {
            let signal =
                Tensor::random([1, tokens, width], Distribution::Normal(0.0, 1.0), &Device::flex());
            let mut covariance = Covariance::new(width, crate::Arithmetic::Float64);
            covariance.add(signal, None);
            let rank = width.saturating_sub(1).max(1);
            let (basis, spectrum) = principal(&covariance, rank, &mut Orientation::Pca).unwrap();
            let (axes, all) = principal(&covariance, width, &mut Orientation::Pca).unwrap();
            assert!(axes.is_identity());
            let spread = 1e-13 * (width * tokens) as f64 * all.eigenvalues[0];
            let pairs = spectrum.eigenvalues.iter().zip(&all.eigenvalues);
            assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() < spread));
            let h = covariance.lower().unwrap();
            let full = Mat::from_fn(width, width, |i, j| h[(i.max(j), i.min(j))]);
            let b = Mat::from_fn(width, rank, |i, j| basis.values()[i * rank + j]);
            let scaled = Mat::from_fn(width, rank, |i, j| b[(i, j)] * spectrum.eigenvalues[j]);
            let tolerance = 1e-13 * (width * tokens) as f64;
            assert!((&full * &b - &scaled).norm_max() < tolerance * spectrum.eigenvalues[0]);
            let identity = Mat::<f64>::identity(rank, rank);
            assert!((b.transpose() * &b - identity).norm_max() < 1e-13 * width as f64);
            assert!(spectrum.eigenvalues.is_sorted_by(|a, b| a >= b));
        }
    }
}
