//! [`Directions`]: the directions of a signal, ordered by what its readers lose without them.

use faer::Mat;
use slicegpt_core::Basis;

use crate::covariance::Covariance;
use crate::eigen::{Eigen, Spectrum, basis_of};
use crate::error::AnalysisError;
use crate::orientation::Orientation;

/// All directions of a signal, the most important first.
///
/// If only the covariance `C` of the signal is known, importance is energy, and the directions are
/// the eigenvectors of `C` ([`Directions::by_energy`]). If the readers `W` of the signal are known
/// too, importance is what they lose ([`Directions::as_read`]). Readers of a signal that is cut to
/// the span of `V`, and that are refitted to it, lose
///
/// ```text
/// tr W^T (C - C V (V^T C V)^-1 V^T C) W
/// ```
///
/// This is least if `C^(1/2) V` spans the leading eigenvectors of `C^(1/2) R C^(1/2)`, `R = W W^T`.
/// A small multiple of the identity is added to `R`: a direction that no reader reads still carries
/// energy, which the norm measures.
pub struct Directions {
    /// `[width, width]`, one direction per column; not orthonormal.
    ordered: Mat<f64>,
    /// The loss without each direction, in descending order.
    losses: Vec<f64>,
    spectrum: Spectrum,
}

/// The weight of the identity that is added to `R`, relative to the mean of the diagonal of `R`.
const UNREAD: f64 = 0.05;

/// Eigenvalues of a covariance below this fraction of the largest one are rounding errors.
const NEGLIGIBLE: f64 = 1e-12;

impl Directions {
    /// Orders directions by energy.
    ///
    /// # Errors
    ///
    /// If the covariance is not finite, or the eigensolver does not converge.
    pub fn by_energy(covariance: &Covariance) -> Result<Self, AnalysisError> {
        let lower = covariance.lower().map_err(AnalysisError::activations)?;
        let Eigen { vectors, values } = Eigen::new(lower)?;
        let losses = values.clone();
        Ok(Self { ordered: vectors, losses, spectrum: spectrum(values, covariance) })
    }

    /// Orders directions by what the readers lose. `readers` is `R`, the sum of the outer products
    /// of the readers' columns, each `[width]`.
    ///
    /// # Errors
    ///
    /// If the covariance of the signal or that of the weights is not finite, or the eigensolver
    /// does not converge.
    ///
    /// # Panics
    ///
    /// If the two have different widths.
    pub fn as_read(covariance: &Covariance, readers: &Covariance) -> Result<Self, AnalysisError> {
        let lower = covariance.lower().map_err(AnalysisError::activations)?;
        let Eigen { vectors, values } = Eigen::new(lower)?;
        let width = vectors.nrows();
        let lower = readers.lower().map_err(AnalysisError::weights)?;
        assert_eq!(lower.nrows(), width, "the readers read this signal");
        let mean = (0..width).map(|i| lower[(i, i)]).sum::<f64>() / width as f64;
        let read = Mat::from_fn(width, width, |i, j| {
            let read = lower[(i.max(j), i.min(j))];
            if i == j { read + UNREAD * mean } else { read }
        });
        // In the coordinates of the eigenvectors, C^(1/2) is diagonal.
        let roots: Vec<f64> = values.iter().map(|value| value.max(0.0).sqrt()).collect();
        let inside = vectors.transpose() * &read * &vectors;
        let lost = Mat::from_fn(width, width, |i, j| roots[i] * inside[(i, j)] * roots[j]);
        let Eigen { vectors: leading, values: losses } = Eigen::new(lost.as_ref())?;
        let least = NEGLIGIBLE.sqrt() * roots[0];
        let back = Mat::from_fn(width, width, |i, j| {
            if roots[i] > least { leading[(i, j)] / roots[i] } else { 0.0 }
        });
        let spectrum = spectrum(values, covariance);
        Ok(Self { ordered: &vectors * &back, losses, spectrum })
    }

    /// An orthonormal basis of the span of the first `rank` directions. With [`Orientation::Pca`]
    /// the directions are orthogonalised in their order. If `rank` is the full width the basis is
    /// [`Basis::axes`], whatever the orientation: nothing is cut, so nothing needs to be rotated.
    ///
    /// # Panics
    ///
    /// If `rank` is 0 or above the width.
    pub fn basis(&self, rank: usize, orientation: &mut Orientation) -> Basis {
        let width = self.ordered.nrows();
        if rank == width {
            return Basis::axes(width, width);
        }
        let leading = self.ordered.subcols(0, rank).qr().compute_thin_Q();
        let leading = orientation.apply(leading);
        basis_of(&leading)
    }

    /// The loss if only the first `rank` directions are kept, as a fraction of the loss if none is.
    pub fn lost(&self, rank: usize) -> f64 {
        let sum = |losses: &[f64]| losses.iter().map(|loss| loss.max(0.0)).sum::<f64>();
        sum(&self.losses[rank..]) / sum(&self.losses).max(f64::MIN_POSITIVE)
    }

    /// The eigenvalues of the covariance of the signal.
    pub fn spectrum(&self) -> &Spectrum {
        &self.spectrum
    }
}

fn spectrum(eigenvalues: Vec<f64>, covariance: &Covariance) -> Spectrum {
    Spectrum { eigenvalues, tokens: covariance.tokens() }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution, Tensor};

    use super::*;
    use crate::{Arithmetic, Moments, principal};

    fn random(rows: usize, columns: usize, scale: impl Fn(usize) -> f32) -> Tensor<3> {
        let device = Device::flex();
        let normal = Tensor::random([1, rows, columns], Distribution::Normal(0.0, 1.0), &device);
        let scales: Vec<f32> = (0..columns).map(scale).collect();
        normal * Tensor::<1>::from_floats(scales.as_slice(), &device).unsqueeze::<3>()
    }

    fn covariance(signal: &Tensor<3>) -> Covariance {
        let mut covariance = Covariance::new(signal.dims()[2], Arithmetic::Float64);
        covariance.add(signal.clone(), None);
        covariance
    }

    /// What readers lose if a signal is cut to a basis and they are refitted to it.
    fn lost(signal: &Tensor<3>, readers: &Tensor<3>, basis: &Basis) -> f64 {
        let device = signal.device();
        let columns = basis.to(&device, signal.dtype()).unsqueeze::<3>();
        let kept = signal.clone().matmul(columns);
        let read = signal.clone().matmul(readers.clone().swap_dims(1, 2));
        let mut moments = Moments::new(basis.rank(), read.dims()[2]);
        moments.add(kept.clone(), read.clone(), None, None);
        let prior = Mat::zeros(basis.rank(), read.dims()[2]);
        // Subtract what `strength` adds for a small number of tokens.
        let scarce = crate::Ridge { lambda: 0.0 }.strength(basis.rank(), moments.tokens());
        let ridge = crate::Ridge { lambda: 1e-12 - scarce };
        let fit = ridge.solve(&moments, prior.as_ref(), None).unwrap().matrix;
        let [gram, cross] = moments.sums().unwrap();
        let mut explained = 0.0;
        for j in 0..fit.ncols() {
            for i in 0..fit.nrows() {
                explained += 2.0 * fit[(i, j)] * cross[(i, j)];
                for k in 0..fit.nrows() {
                    explained -= fit[(i, j)] * gram[(i.max(k), i.min(k))] * fit[(k, j)];
                }
            }
        }
        f64::from(read.square().sum().into_scalar::<f32>()) - explained
    }

    #[test]
    fn readers_lose_least_if_directions_are_ordered_by_what_they_read() {
        let signal = random(400, 12, |i| 1.0 / (1 + i) as f32);
        // The readers have the largest weights where the signal has the least energy.
        let readers = random(30, 12, |i| (1 + i) as f32);
        let (covariance, reading) = (covariance(&signal), covariance(&readers));
        let [energy, read] = [
            Directions::by_energy(&covariance).unwrap(),
            Directions::as_read(&covariance, &reading).unwrap(),
        ]
        .map(|directions| directions.basis(5, &mut Orientation::Pca));
        let [energy, read] = [energy, read].map(|basis| lost(&signal, &readers, &basis));
        assert!(read < 0.8 * energy, "{read} against {energy}");
    }

    #[test]
    fn directions_by_energy_are_the_principal_ones() {
        let signal = random(300, 9, |i| 1.0 / (1 + i) as f32);
        let covariance = covariance(&signal);
        let found = Directions::by_energy(&covariance).unwrap();
        let (expected, spectrum) = principal(&covariance, 4, &mut Orientation::Pca).unwrap();
        let basis = found.basis(4, &mut Orientation::Pca);
        let dot = |a: usize| -> f64 {
            (0..9).map(|i| basis.values()[i * 4 + a] * expected.values()[i * 4 + a]).sum()
        };
        assert!((0..4).all(|a| (dot(a).abs() - 1.0).abs() < 1e-9));
        assert_eq!(found.spectrum(), &spectrum);
    }

    #[test]
    fn fewer_tokens_than_the_width_still_give_a_basis() {
        let signal = random(4, 10, |_| 1.0);
        let readers = random(20, 10, |_| 1.0);
        let directions = Directions::as_read(&covariance(&signal), &covariance(&readers)).unwrap();
        let basis = directions.basis(7, &mut Orientation::Pca);
        for a in 0..7 {
            for b in 0..7 {
                let dot: f64 =
                    (0..10).map(|i| basis.values()[i * 7 + a] * basis.values()[i * 7 + b]).sum();
                assert!((dot - f64::from(u8::from(a == b))).abs() < 1e-9, "{a} {b}: {dot}");
            }
        }
        // Four tokens span fewer than seven dimensions: the whole signal is kept.
        assert!(lost(&signal, &readers, &basis) < 1e-3);
    }
}
