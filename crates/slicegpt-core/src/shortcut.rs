//! [`Shortcut`]: the residual path of a sublayer.

use burn::module::{Module, Param};
use burn::tensor::{DType, Device, Tensor, TensorData};

use crate::Basis;
use crate::precise::PreciseMatrix;

/// The residual path of a sublayer: the identity, or the matrix `S = B_in^T B_out`,
/// `[width in, width out]`, that changes from one basis to the next (SliceGPT, section 3.2).
#[derive(Module, Debug)]
pub struct Shortcut {
    /// `[width in, width out]`; `None` for the identity.
    pub weight: Option<Param<Tensor<2>>>,
}

impl Shortcut {
    /// The identity: the residual stays as it is.
    pub fn identity() -> Self {
        Self { weight: None }
    }

    /// The residual is multiplied by `weight`, `[width in, width out]`.
    pub fn new(weight: Tensor<2>) -> Self {
        Self { weight: Some(Param::from_tensor(weight)) }
    }

    /// `B^T`, `[rank, hidden_size]`: the residual arrives in `basis` and leaves at full width.
    pub fn back(basis: &Basis, device: &Device, dtype: DType) -> Self {
        // Stored transposed, so that no product has to transpose its operand.
        let (rows, columns) = (basis.hidden_size(), basis.rank());
        let transposed = (0..rows * columns)
            .map(|i| basis.values()[(i % rows) * columns + i / rows])
            .collect::<Vec<f64>>();
        let data = TensorData::new(transposed, [columns, rows]).convert_dtype(dtype);
        Self::new(Tensor::from_data(data, (device, dtype)))
    }

    /// `B_from^T B_to`, computed to double-precision accuracy: the residual changes basis.
    pub fn between(from: &PreciseMatrix, to: &PreciseMatrix, dtype: DType) -> Self {
        Self::new(from.transposed_times_matrix(to, dtype))
    }

    /// Applies the shortcut.
    ///
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
