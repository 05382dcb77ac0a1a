//! The two edits all rewriting is made of, in float64: a linear that reads the stream, and one
//! that writes it, change basis.

use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::{DType, Tensor};

use crate::Basis;

/// `W <- B^T W`: the linear now reads coordinates in `basis`.
///
/// # Shapes
/// - `linear.weight`: `[hidden_size, out]`, becomes `[rank, out]`
pub fn read_in(linear: &mut Linear, basis: &Basis) {
    if basis.is_identity() {
        return;
    }
    let device = linear.weight.val().device();
    let columns = basis.to(&device, DType::F64);
    edit(&mut linear.weight, |w| columns.transpose().matmul(w));
}

/// `W <- W B`, `b <- b B`: the linear now writes coordinates in `basis`.
///
/// # Shapes
/// - `linear.weight`: `[in, hidden_size]`, becomes `[in, rank]`; the bias likewise
pub fn write_in(linear: &mut Linear, basis: &Basis) {
    if basis.is_identity() {
        return;
    }
    let device = linear.weight.val().device();
    let columns = basis.to(&device, DType::F64);
    if let Some(bias) = &mut linear.bias {
        edit(bias, |b| b.unsqueeze::<2>().matmul(columns.clone()).squeeze_dim(0));
    }
    edit(&mut linear.weight, |w| w.matmul(columns));
}

/// Replaces a parameter by `f` of it, computed in float64 and stored back in its own type.
pub fn edit<const D: usize>(param: &mut Param<Tensor<D>>, f: impl FnOnce(Tensor<D>) -> Tensor<D>) {
    // Cloning a parameter is cheap, and `map` keeps its id.
    *param = param.clone().map(|value| {
        let dtype = value.dtype();
        f(value.cast(DType::F64)).cast(dtype)
    });
}
