//! [`Covariance`]: the sum of outer products of a signal, in float64.

use burn::tensor::{DType, Tensor};
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::{Accum, Mat, MatRef};
use rayon::prelude::*;

/// Rows widened to float64 at a time: enough for the product to run at full speed, little enough
/// to stay small next to the signal.
const CHUNK: usize = 2048;

/// `H = sum over kept tokens of x^T x`, un-normalised, `[width, width]`.
///
/// Every product and sum is in float64; only the lower triangle is computed.
pub struct Covariance {
    /// Column-major; above the diagonal undefined.
    lower: Mat<f64>,
    tokens: u64,
}

/// The signal held a NaN or an infinity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the activations hold a NaN or an infinity")]
pub struct NotFinite;

impl Covariance {
    /// Of nothing yet, for signals of `width`.
    pub fn new(width: usize) -> Self {
        Self { lower: Mat::zeros(width, width), tokens: 0 }
    }

    /// Adds a signal, `[batch, tokens, width]`, of any float type, leaving out the tokens that
    /// `keep` (row-major, `[batch, tokens]`) says are padding.
    ///
    /// # Panics
    ///
    /// If the width is another than before, or `keep` has not one entry per token.
    pub fn add(&mut self, signal: Tensor<3>, keep: Option<&[bool]>) {
        let [batch, tokens, width] = signal.dims();
        assert_eq!(width, self.lower.nrows(), "one covariance, one width");
        let values: Vec<f32> =
            signal.into_data_dtype(DType::F32).try_into_vec().expect("it was just made float32");
        let rows: Vec<&[f32]> = match keep {
            None => values.chunks_exact(width).collect(),
            Some(keep) => {
                assert_eq!(keep.len(), batch * tokens, "one flag per token");
                let rows = values.chunks_exact(width).zip(keep);
                rows.filter_map(|(row, keep)| keep.then_some(row)).collect()
            }
        };
        self.tokens += rows.len() as u64;
        let mut wide = vec![0.0; CHUNK.min(rows.len()) * width];
        for rows in rows.chunks(CHUNK) {
            let wide = &mut wide[..rows.len() * width];
            wide.par_chunks_exact_mut(width).zip(rows).for_each(|(wide, row)| {
                wide.iter_mut().zip(*row).for_each(|(wide, x)| *wide = f64::from(*x));
            });
            // Row-major [rows, width] is column-major [width, rows].
            let x = MatRef::from_column_major_slice(wide, width, rows.len());
            triangular::matmul(
                self.lower.as_mut(),
                BlockStructure::TriangularLower,
                Accum::Add,
                x,
                BlockStructure::Rectangular,
                x.transpose(),
                BlockStructure::Rectangular,
                1.0,
                faer::get_global_parallelism(),
            );
        }
    }

    /// The number of tokens added.
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// The sum. Only its lower triangle is defined.
    ///
    /// # Errors
    ///
    /// If a token added was not finite: a square of it stands on the diagonal.
    pub fn lower(&self) -> Result<MatRef<'_, f64>, NotFinite> {
        let finite = (0..self.lower.nrows()).all(|i| self.lower[(i, i)].is_finite());
        if finite { Ok(self.lower.as_ref()) } else { Err(NotFinite) }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn equals_the_plain_sum(
            width in 1usize..9,
            batch in 1usize..4,
            tokens in 1usize..6,
            seed in any::<u32>(),
            padded in any::<bool>(),
        ) {
            let value = |i: usize| ((i as u32).wrapping_mul(2654435761) ^ seed) as f32 / 1e9 - 2.0;
            let values: Vec<f32> = (0..batch * tokens * width).map(value).collect();
            let keep: Vec<bool> = (0..batch * tokens).map(|i| !padded || i % 3 > 0).collect();
            let data = TensorData::new(values.clone(), [batch, tokens, width]);
            let mut covariance = Covariance::new(width);
            let signal = Tensor::from_data(data, &Device::flex());
            covariance.add(signal, padded.then_some(keep.as_slice()));
            let lower = covariance.lower().unwrap();
            for i in 0..width {
                for j in 0..=i {
                    let terms = values.chunks(width).zip(&keep).filter(|(_, keep)| **keep);
                    let sum: f64 =
                        terms.map(|(row, _)| f64::from(row[i]) * f64::from(row[j])).sum();
                    approx::assert_relative_eq!(lower[(i, j)], sum, max_relative = 1e-12, epsilon = 1e-9);
                }
            }
            prop_assert_eq!(covariance.tokens(), keep.iter().filter(|k| **k).count() as u64);
        }
    }

    #[test]
    fn a_nan_is_seen() {
        let data = TensorData::new(vec![1.0, f32::NAN], [1, 2, 1]);
        let mut covariance = Covariance::new(1);
        covariance.add(Tensor::from_data(data, &Device::flex()), None);
        assert_eq!(covariance.lower().err(), Some(NotFinite));
    }
}
