//! Products with a weight of any float type and layout, and with its transpose.

use burn::tensor::{DType, Tensor};
use faer::MatRef;
use half::{bf16, f16};

use crate::gemm::{gemm, gemm_halves, gemm_halves_transposed};
use crate::gemv::{FEW, gemv};
use crate::view::{View, as_flex};

/// `y + x W`, in `y`.
///
/// # Shapes
/// - `weight`: `[inputs, outputs]`
/// - `x`: `[rows, inputs]`
/// - `y`: `[rows, outputs]`
pub(crate) fn times(weight: &Tensor<2>, x: &[f32], y: &mut [f32]) {
    let [inputs, _] = weight.dims();
    let few = x.len() <= FEW * inputs;
    stored(weight, |weight| match weight {
        Stored::F16(weights, _) if few => gemv(weights, x, inputs, y),
        Stored::BF16(weights, _) if few => gemv(weights, x, inputs, y),
        Stored::OutputMajor(weights, _) if few => gemv(weights, x, inputs, y),
        Stored::F16(weights, _) => gemm_halves(weights, x, inputs, y),
        Stored::BF16(weights, _) => gemm_halves(weights, x, inputs, y),
        Stored::OutputMajor(..) | Stored::InputMajor(..) => gemm(weight.matrix(), x, y),
    });
}

/// `y + x W^T`, in `y`.
///
/// # Shapes
/// - `weight`: `[inputs, outputs]`
/// - `x`: `[rows, outputs]`
/// - `y`: `[rows, inputs]`
pub(crate) fn times_transposed(weight: &Tensor<2>, x: &[f32], y: &mut [f32]) {
    stored(weight, |weight| match weight {
        Stored::F16(weights, [inputs, _]) => gemm_halves_transposed(weights, x, inputs, y),
        Stored::BF16(weights, [inputs, _]) => gemm_halves_transposed(weights, x, inputs, y),
        Stored::OutputMajor(..) | Stored::InputMajor(..) => {
            gemm(weight.matrix().transpose(), x, y);
        }
    });
}

/// Whether a weight is output-major in memory, as a checkpoint stores it.
pub(crate) fn is_output_major(weight: &Tensor<2>) -> bool {
    as_flex(weight.clone().transpose()).is_contiguous()
}

/// The numbers of a weight with their shape, `[inputs, outputs]`.
#[derive(Clone, Copy)]
enum Stored<'a> {
    /// Output-major.
    F16(&'a [f16], [usize; 2]),
    /// Output-major.
    BF16(&'a [bf16], [usize; 2]),
    OutputMajor(&'a [f32], [usize; 2]),
    InputMajor(&'a [f32], [usize; 2]),
}

impl<'a> Stored<'a> {
    /// `[inputs, outputs]`, of float32 weights.
    fn matrix(self) -> MatRef<'a, f32> {
        match self {
            Self::OutputMajor(weights, [inputs, outputs]) => {
                MatRef::from_column_major_slice(weights, inputs, outputs)
            }
            Self::InputMajor(weights, [inputs, outputs]) => {
                MatRef::from_row_major_slice(weights, inputs, outputs)
            }
            Self::F16(..) | Self::BF16(..) => unreachable!("a matrix is float32"),
        }
    }
}

/// Calls `product` with the numbers of a weight: as they are if it is output-major, else widened.
fn stored(weight: &Tensor<2>, product: impl FnOnce(Stored<'_>)) {
    const STORED: &str = "it is output-major, in the type it says";
    let shape = weight.dims();
    let transposed = as_flex(weight.clone().transpose());
    let dtype = transposed.dtype();
    if !transposed.is_contiguous() || !matches!(dtype, DType::F32 | DType::F16 | DType::BF16) {
        // Input-major, like an edited weight, or with other strides.
        let weight = View::of(weight.clone().cast(DType::F32));
        return product(Stored::InputMajor(weight.values(), shape));
    }
    product(match dtype {
        DType::F16 => Stored::F16(transposed.as_slice().expect(STORED), shape),
        DType::BF16 => Stored::BF16(transposed.as_slice().expect(STORED), shape),
        _ => Stored::OutputMajor(transposed.as_slice().expect(STORED), shape),
    });
}
