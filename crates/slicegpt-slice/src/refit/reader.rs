//! [`ReaderFit`]: one regression for all readers of the stream at one place.

use burn::nn::Linear;
use burn::tensor::Tensor;
use faer::Mat;
use slicegpt_calibrate::{Affine, Moments, Ridge, RidgeError};
use slicegpt_core::precise::{PreciseMatrix, widen};
use slicegpt_core::{Basis, replace_param};

/// The best prediction of the normalised dense stream `x` from the normalised sliced one `x'`: `x ~
/// x' M + c`. A reader `W, b` of the dense stream becomes the reader `M W, b + c W` of the sliced
/// one.
pub struct ReaderFit {
    /// `M^T`, row-major, `[hidden_size, rank]`.
    pub matrix: Vec<f64>,
    /// `c`, `[hidden_size]`; `None` for readers without a bias.
    pub shift: Option<Vec<f64>>,
}

impl ReaderFit {
    /// A fit from moments of the normalised sliced stream on the normalised dense one, with `B^T`
    /// as the prior of `M`. `bias` says whether the readers have a bias that can absorb `c`.
    ///
    /// # Errors
    ///
    /// See [`RidgeError`].
    pub fn new(
        ridge: &Ridge,
        moments: &Moments,
        basis: &Basis,
        bias: bool,
    ) -> Result<Self, RidgeError> {
        let (width, rank) = (basis.hidden_size(), basis.rank());
        let prior = Mat::from_fn(rank, width, |i, j| basis.values()[j * rank + i]);
        let zeros = vec![0.0; width];
        let prior_shift = bias.then_some(zeros.as_slice());
        let Affine { matrix, shift } = ridge.solve(moments, prior.as_ref(), prior_shift)?;
        let at = (0..width).flat_map(|j| (0..rank).map(move |i| (i, j)));
        Ok(Self { matrix: at.map(|at| matrix[at]).collect(), shift })
    }

    /// Refits dense `readers`: one fit for those with a bias and one for those without.
    ///
    /// # Errors
    ///
    /// See [`RidgeError`].
    pub fn refit(
        ridge: &Ridge,
        moments: &Moments,
        basis: &Basis,
        readers: Vec<&mut Linear>,
    ) -> Result<(), RidgeError> {
        let shape = [basis.hidden_size(), basis.rank()];
        let (biased, bare): (Vec<_>, Vec<_>) =
            readers.into_iter().partition(|reader| reader.bias.is_some());
        for readers in [biased, bare] {
            let Some(first) = readers.first() else { continue };
            let device = first.weight.val().device();
            let fit = Self::new(ridge, moments, basis, first.bias.is_some())?;
            let matrix = PreciseMatrix::from_f64(&fit.matrix, shape, &device);
            let shift =
                fit.shift.map(|shift| PreciseMatrix::from_f64(&shift, [shape[0], 1], &device));
            for reader in readers {
                if let (Some(bias), Some(shift)) = (&mut reader.bias, &shift) {
                    let weight = reader.weight.val();
                    let gained = shift.transposed_times(widen(weight)).squeeze_dim::<1>(0);
                    replace_param(bias, |b| sum(b, gained));
                }
                replace_param(&mut reader.weight, |w| matrix.transposed_times(w));
            }
        }
        Ok(())
    }
}

/// `a + b`, in the type of `a`.
fn sum(a: Tensor<1>, b: Tensor<1>) -> Tensor<1> {
    let dtype = a.dtype();
    (widen(a) + widen(b)).cast(dtype)
}
