//! [`Directions`]: the directions of a signal in the order of what those who read it lose without them.

use faer::Mat;
use slicegpt_core::Basis;

use crate::eigen::{Eigen, basis_of};
use crate::{Covariance, NotFinite, Orientation, Spectrum};

/// All directions of a signal, the most important first.
///
/// With a covariance `C` of the signal alone, importance is energy: the eigenvectors of `C`. With the
/// readers `W` of the signal known, it is what they lose. Cut to the span of `V`, and refitted, they
/// lose
///
/// ```text
/// tr W^T (C - C V (V^T C V)^-1 V^T C) W
/// ```
///
/// which is least where `C^(1/2) V` spans the leading eigenvectors of `C^(1/2) R C^(1/2)`, `R = W W^T`.
/// A little of the identity in `R` keeps directions that carry energy, which the norm measures, though
/// nobody reads them.
pub struct Directions {
    /// `[width, width]`, by columns; not orthonormal.
    ordered: Mat<f64>,
    /// What each is worth.
    worth: Vec<f64>,
    spectrum: Spectrum,
}

/// What directions that nobody reads count, relative to the average one.
const UNREAD: f64 = 0.05;

/// Eigenvalues of a covariance below this part of the largest are rounding.
const NOTHING: f64 = 1e-12;

impl Directions {
    /// By energy.
    ///
    /// # Errors
    ///
    /// If the covariance is not finite.
    pub fn by_energy(covariance: &Covariance) -> Result<Self, NotFinite> {
        let Eigen { vectors, values } = Eigen::of(covariance.lower()?)?;
        let worth = values.clone();
        Ok(Self { ordered: vectors, worth, spectrum: spectrum(values, covariance) })
    }

    /// By what the readers lose, of whose weights, `[width]` each, `readers` is the sum of outer
    /// products.
    ///
    /// # Errors
    ///
    /// If a covariance is not finite.
    ///
    /// # Panics
    ///
    /// If the two are of different widths.
    pub fn as_read(covariance: &Covariance, readers: &Covariance) -> Result<Self, NotFinite> {
        let Eigen { vectors, values } = Eigen::of(covariance.lower()?)?;
        let width = vectors.nrows();
        let lower = readers.lower()?;
        assert_eq!(lower.nrows(), width, "readers of this signal");
        let mean = (0..width).map(|i| lower[(i, i)]).sum::<f64>() / width as f64;
        let read = Mat::from_fn(width, width, |i, j| {
            let read = lower[(i.max(j), i.min(j))];
            if i == j { read + UNREAD * mean } else { read }
        });
        // In the coordinates of the eigenvectors, C^(1/2) is a diagonal.
        let roots: Vec<f64> = values.iter().map(|value| value.max(0.0).sqrt()).collect();
        let inside = vectors.transpose() * &read * &vectors;
        let lost = Mat::from_fn(width, width, |i, j| roots[i] * inside[(i, j)] * roots[j]);
        let Eigen { vectors: leading, values: worth } = Eigen::of(lost.as_ref())?;
        let least = NOTHING.sqrt() * roots[0];
        let back = Mat::from_fn(width, width, |i, j| match roots[i] > least {
            true => leading[(i, j)] / roots[i],
            false => 0.0,
        });
        let spectrum = spectrum(values, covariance);
        Ok(Self { ordered: &vectors * &back, worth, spectrum })
    }

    /// An orthonormal basis of the span of the first `rank`, oriented as `orientation` says: as they
    /// are, orthogonalised in their order, or random. Where `rank` is the whole width, the axes: nothing is
    /// cut, and nothing is turned.
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

    /// The fraction of what all directions are worth that is lost with all but the first `rank`.
    pub fn lost(&self, rank: usize) -> f64 {
        let worth = |part: &[f64]| part.iter().map(|worth| worth.max(0.0)).sum::<f64>();
        worth(&self.worth[rank..]) / worth(&self.worth).max(f64::MIN_POSITIVE)
    }

    /// The eigenvalues of the covariance.
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

    /// What readers lose of a signal cut to a basis, if they are fitted anew.
    fn lost(signal: &Tensor<3>, readers: &Tensor<3>, basis: &Basis) -> f64 {
        let device = signal.device();
        let columns = basis.to(&device, signal.dtype()).unsqueeze::<3>();
        let kept = signal.clone().matmul(columns);
        let read = signal.clone().matmul(readers.clone().swap_dims(1, 2));
        let mut moments = Moments::new(basis.rank(), read.dims()[2]);
        moments.add(kept.clone(), read.clone(), None, None);
        let prior = Mat::zeros(basis.rank(), read.dims()[2]);
        // Less what is added for want of tokens.
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
    fn readers_lose_least_with_the_directions_they_read() {
        let signal = random(400, 12, |i| 1.0 / (1 + i) as f32);
        // They read what carries little.
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
    fn by_energy_they_are_the_principal_ones() {
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
        // What there is of the signal is all kept.
        assert!(lost(&signal, &readers, &basis) < 1e-3);
    }
}
