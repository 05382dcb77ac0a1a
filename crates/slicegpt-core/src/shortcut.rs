//! [`Shortcut`]: how the residual crosses a sublayer.

use burn::module::{Module, Param};
use burn::tensor::{DType, Device, Tensor, TensorData};

use crate::Basis;
use crate::precise::PreciseMatrix;

/// The residual path of a sublayer: untouched, or carried from one basis to the next by
/// `S = B_in^T B_out`, `[width in, width out]` (SliceGPT, section 3.2).
#[derive(Module, Debug)]
pub struct Shortcut {
    /// `[width in, width out]`, or nothing for the identity.
    pub weight: Option<Param<Tensor<2>>>,
}

impl Shortcut {
    /// The residual passes unchanged.
    pub fn identity() -> Self {
        Self { weight: None }
    }

    /// The residual is multiplied by `weight`, `[width in, width out]`.
    pub fn new(weight: Tensor<2>) -> Self {
        Self { weight: Some(Param::from_tensor(weight)) }
    }

    /// `B^T`: the residual arrives in `basis` and leaves at full width.
    pub fn back(basis: &Basis, device: &Device, dtype: DType) -> Self {
        // Stored as it is used, so that no product pays for a transposed operand.
        let (rows, columns) = (basis.hidden_size(), basis.rank());
        let transposed = (0..rows * columns)
            .map(|i| basis.values()[(i % rows) * columns + i / rows])
            .collect::<Vec<f64>>();
        let data = TensorData::new(transposed, [columns, rows]).convert_dtype(dtype);
        Self::new(Tensor::from_data(data, (device, dtype)))
    }

    /// `B_from^T B_to`, computed at float64 grade: the residual changes basis.
    pub fn between(from: &PreciseMatrix, to: &PreciseMatrix, dtype: DType) -> Self {
        Self::new(from.transposed_times_matrix(to, dtype))
    }

    /// # Shapes
    /// - `x`: `[batch, tokens, width in]`
    /// - output: `[batch, tokens, width out]`
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        match &self.weight {
            None => x,
            Some(weight) => burn::tensor::module::linear(x, weight.val(), None),
        }
    }
}
