//! [`StoredTensor`]: a tensor of a file, without its values.

use crate::quant::StoredType;

/// Type, shape and place of a tensor.
#[derive(Clone, Debug)]
pub(crate) struct StoredTensor {
    pub ty: &'static StoredType,
    /// Rows first; the file holds it the other way round.
    pub shape: Vec<usize>,
    /// Bytes from the start of the file.
    pub(super) start: usize,
    pub(super) bytes: usize,
}
