//! [`Orientation`]: which orthonormal basis of the kept subspace is used.

use faer::Mat;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use rand_distr::{Distribution, StandardNormal};
use slicegpt_core::Basis;

/// Which orthonormal basis of the kept subspace is used. The function of the model does not depend
/// on the choice. The magnitudes of single coordinates do, and with them the rounding errors of
/// half precision and of quantisation.
#[derive(Clone, Debug)]
pub enum Orientation {
    /// The eigenvectors, or the ordered directions, themselves.
    Pca,
    /// A random rotation of them within their span, another one at every cut.
    Random(Box<ChaCha20Rng>),
}

impl Orientation {
    /// Random rotations, reproducible from `seed`.
    pub fn random(seed: u64) -> Self {
        Self::Random(Box::new(ChaCha20Rng::seed_from_u64(seed)))
    }

    /// Rotates orthonormal columns within their span.
    pub(crate) fn apply(&mut self, columns: Mat<f64>) -> Mat<f64> {
        match self {
            Self::Pca => columns,
            Self::Random(rng) => {
                let rotation = haar(columns.ncols(), rng);
                &columns * &rotation
            }
        }
    }
}

/// A random rotation of the whole stream, reproducible from `seed`.
pub fn random_basis(hidden_size: usize, seed: u64) -> Basis {
    let rotation = haar(hidden_size, &mut ChaCha20Rng::seed_from_u64(seed));
    let rows = (0..hidden_size).flat_map(|i| (0..hidden_size).map(move |j| (i, j)));
    Basis::new(rows.map(|at| rotation[at]).collect(), hidden_size, hidden_size)
}

/// A random orthogonal matrix, uniformly distributed (Haar): the `Q` of the QR decomposition of a
/// Gaussian matrix, with the signs that make the diagonal of `R` positive (Mezzadri, arXiv
/// math-ph/0609050).
fn haar(size: usize, rng: &mut ChaCha20Rng) -> Mat<f64> {
    let gaussian: Mat<f64> = Mat::from_fn(size, size, |_, _| StandardNormal.sample(rng));
    let qr = gaussian.qr();
    let q = qr.compute_thin_Q();
    let r = qr.thin_R();
    Mat::from_fn(size, size, |i, j| if r[(j, j)] < 0.0 { -q[(i, j)] } else { q[(i, j)] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn haar_is_orthogonal_seeded_and_centred() {
        for size in [1, 2, 7, 40] {
            let draw = |seed| haar(size, &mut ChaCha20Rng::seed_from_u64(seed));
            let q = draw(1);
            let identity = Mat::<f64>::identity(size, size);
            assert!((q.transpose() * &q - identity).norm_max() < 1e-13 * (1 + size) as f64);
            assert_eq!(q, draw(1));
            assert!(size == 1 || q != draw(2));
            // Without the sign correction the first entry would be biased to one sign.
            let mean: f64 = (0..400).map(|seed| draw(seed)[(0, 0)]).sum::<f64>() / 400.0;
            assert!(mean.abs() < 0.2, "{mean}");
        }
    }
}
