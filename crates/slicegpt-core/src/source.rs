//! [`TensorSource`]: named weights, read on demand.

use std::ops::Range;

/// Named tensors, read on demand and widened to float32, which is exact for float16 and bfloat16.
///
/// A checkpoint on disk is a source; a model builds its blocks from one.
pub trait TensorSource {
    /// Why a tensor cannot be read.
    type Error;

    /// Whether there is a tensor called `name`.
    fn contains(&self, name: &str) -> bool;

    /// The values of tensor `name`, row-major.
    ///
    /// # Errors
    ///
    /// If it is missing, does not have `shape`, cannot be read, or holds a NaN or an infinity.
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Self::Error>;

    /// The rows `rows` of matrix `name`, row-major. `shape` is that of the whole matrix.
    ///
    /// # Errors
    ///
    /// As [`TensorSource::tensor`].
    fn rows(
        &self,
        name: &str,
        shape: [usize; 2],
        rows: Range<usize>,
    ) -> Result<Vec<f32>, Self::Error>;

    /// The rows `indices` of matrix `name`, in that order, row-major. `shape` is that of the whole
    /// matrix; each index is below `shape[0]`.
    ///
    /// # Errors
    ///
    /// As [`TensorSource::tensor`].
    fn gather(
        &self,
        name: &str,
        shape: [usize; 2],
        indices: &[u32],
    ) -> Result<Vec<f32>, Self::Error>;
}

/// A borrowed source is a source.
impl<T: TensorSource> TensorSource for &T {
    type Error = T::Error;

    fn contains(&self, name: &str) -> bool {
        (**self).contains(name)
    }

    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Self::Error> {
        (**self).tensor(name, shape)
    }

    fn rows(
        &self,
        name: &str,
        shape: [usize; 2],
        rows: Range<usize>,
    ) -> Result<Vec<f32>, Self::Error> {
        (**self).rows(name, shape, rows)
    }

    fn gather(
        &self,
        name: &str,
        shape: [usize; 2],
        indices: &[u32],
    ) -> Result<Vec<f32>, Self::Error> {
        (**self).gather(name, shape, indices)
    }
}
