//! [`TensorSource`]: where weights come from, by name.

use std::ops::Range;

/// Named tensors, read on demand and widened to float32 (exact for float16 and bfloat16).
///
/// The zoo builds blocks from one of these; a checkpoint on disk is one.
pub trait TensorSource {
    /// Why a tensor cannot be had.
    type Error;

    /// Whether there is a tensor of that name.
    fn contains(&self, name: &str) -> bool;

    /// All of tensor `name`, row-major.
    ///
    /// # Errors
    ///
    /// If it is missing, is not of `shape`, cannot be read, or holds a NaN or an infinity.
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Self::Error>;

    /// Some rows of matrix `name` (`shape` is that of the whole matrix), row-major.
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

    /// The rows of matrix `name` (`shape` is that of the whole matrix) that `indices` name, in
    /// that order, row-major. Each index is below `shape[0]`.
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

    /// A hint that tensor `name` will be read soon: a source on disk may begin to read it while
    /// something else is computed. It changes no result; by default nothing is done.
    fn will_read(&self, name: &str) {
        let _ = name;
    }
}

/// What lends tensors may be lent itself.
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

    fn will_read(&self, name: &str) {
        (**self).will_read(name);
    }
}
