//! [`Foreign`]: weights in a format that this crate does not know, under the names of a checkpoint.

use slicegpt_core::TensorSource;

use crate::Dtype;
use crate::error::{CheckpointError, Result};

/// A source of weights whose errors are those of a checkpoint: [`CheckpointError::Foreign`] holds
/// any other.
pub type ForeignSource = dyn TensorSource<Error = CheckpointError> + Send + Sync;

/// A tensor of a foreign source. Its values are read as a checkpoint of type `dtype` would hold
/// them.
#[derive(Clone, Debug, PartialEq)]
pub struct ForeignTensor {
    /// Its name in a Hugging Face checkpoint.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// The type that its values are rounded to.
    pub dtype: Dtype,
    /// Bytes that the source stores it in.
    pub bytes: u64,
}

/// Weights in a format that this crate does not know.
pub(crate) struct Foreign {
    pub tensors: Vec<ForeignTensor>,
    pub source: Box<ForeignSource>,
    /// The number of files.
    pub files: usize,
}

impl ForeignTensor {
    /// `values` in the type of this tensor.
    pub(crate) fn rounded(&self, values: Vec<f32>) -> Result<Vec<f32>> {
        self.dtype.rounded(values).map_err(|value| {
            let (name, dtype) = (self.name.clone(), self.dtype);
            CheckpointError::Overflow { name, dtype, value }
        })
    }
}
