//! Eigenvectors of a covariance, most important first.

use faer::{Mat, MatRef, Side};
use slicegpt_core::Basis;

use crate::covariance::Covariance;
use crate::error::AnalysisError;
use crate::orientation::Orientation;

/// The eigenvalues of a covariance: how much of the signal's energy each direction carries.
#[derive(Clone, Debug, PartialEq)]
pub struct Spectrum {
    /// In descending order and un-normalised: sums of squares over [`Spectrum::tokens`] tokens.
    pub eigenvalues: Vec<f64>,
    /// The number of tokens that were summed over.
    pub tokens: u64,
}

/// The `rank` leading eigenvectors of `covariance`, oriented as `orientation` says, and all its
/// eigenvalues.
///
/// At full width every orthonormal basis spans the whole stream. If `rank` is the width and the
/// orientation is [`Orientation::Pca`], the result is therefore [`Basis::axes`], which costs
/// nothing to multiply by.
///
/// The decomposition is symmetric, in double precision, on the host. The signs of eigenvectors are
/// arbitrary, but the same on every run.
///
/// # Errors
///
/// If the covariance is not finite, or the eigensolver does not converge.
///
/// # Panics
///
/// If `rank` is 0 or above the width of the signal.
pub fn principal(
    covariance: &Covariance,
    rank: usize,
    orientation: &mut Orientation,
) -> Result<(Basis, Spectrum), AnalysisError> {
    let lower = covariance.lower().map_err(AnalysisError::activations)?;
    let width = lower.nrows();
    let tokens = covariance.tokens();
    if rank == width && matches!(orientation, Orientation::Pca) {
        let eigenvalues = lower.self_adjoint_eigenvalues(Side::Lower);
        let mut eigenvalues = eigenvalues.map_err(|_| AnalysisError::NoConvergence)?;
        eigenvalues.reverse();
        return Ok((Basis::axes(width, width), Spectrum { eigenvalues, tokens }));
    }
    let Eigen { vectors, values: eigenvalues } = Eigen::new(lower)?;
    let leading = orientation.apply(vectors.subcols(0, rank).to_owned());
    let basis = basis_of(&leading);
    Ok((basis, Spectrum { eigenvalues, tokens }))
}

/// Eigenvectors, one per column, and their eigenvalues in descending order.
pub(crate) struct Eigen {
    pub vectors: Mat<f64>,
    pub values: Vec<f64>,
}

impl Eigen {
    /// Decomposes a symmetric matrix, of which only the lower triangle is read.
    pub fn new(matrix: MatRef<'_, f64>) -> Result<Self, AnalysisError> {
        let width = matrix.nrows();
        let eigen = matrix.self_adjoint_eigen(Side::Lower);
        let eigen = eigen.map_err(|_| AnalysisError::NoConvergence)?;
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

/// Rotates `basis` within its span so that `V^T diag(gain) V` becomes diagonal. Gives the rotated
/// basis and that diagonal, `[rank]`: the counterpart in the subspace of a vector `gain`,
/// `[hidden_size]`, that scales every dimension of the stream.
///
/// If the basis is all coordinate axes the matrix is diagonal already, and nothing is rotated.
///
/// # Errors
///
/// If a value of `gain` is not finite, or the eigensolver does not converge.
pub fn align(basis: &Basis, gain: &[f64]) -> Result<(Basis, Vec<f64>), AnalysisError> {
    if basis.is_identity() {
        return Ok((basis.clone(), gain.to_vec()));
    }
    if !gain.iter().all(|gain| gain.is_finite()) {
        return Err(AnalysisError::WeightsNotFinite);
    }
    let (width, rank) = (basis.hidden_size(), basis.rank());
    let v = MatRef::from_row_major_slice(basis.values(), width, rank);
    let scaled = Mat::from_fn(width, rank, |i, j| gain[i] * v[(i, j)]);
    let inside = v.transpose() * &scaled;
    let eigen = inside.self_adjoint_eigen(Side::Lower);
    let eigen = eigen.map_err(|_| AnalysisError::NoConvergence)?;
    let rotated = v * eigen.U();
    Ok((basis_of(&rotated), (0..rank).map(|i| eigen.S()[i]).collect()))
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution, Tensor};

    use super::*;

    /// `H B = B diag(lambda)` and `B^T B = I`, to double-precision accuracy.
    #[test]
    fn eigenvectors_satisfy_their_defining_identity() {
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

    #[test]
    fn a_gain_that_is_not_finite_is_an_error_of_weights() {
        let (basis, gain) = (Basis::axes(4, 2), [1.0, f64::NAN, 1.0, 1.0]);
        assert_eq!(align(&basis, &gain).err(), Some(AnalysisError::WeightsNotFinite));
    }
}
