//! The two edits that all rewriting consists of, to double-precision accuracy: a linear that reads
//! the stream, and one that writes it, change basis.

use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::Tensor;

use crate::precise::PreciseMatrix;

/// `W <- B^T W`: the linear now reads coordinates in the basis.
///
/// # Shapes
/// - `linear.weight`: `[hidden_size, out]`, becomes `[rank, out]`
pub fn read_in(linear: &mut Linear, basis: &PreciseMatrix) {
    if basis.is_identity() {
        return;
    }
    replace_param(&mut linear.weight, |w| basis.transposed_times(w));
}

/// `W <- W B`, `b <- b B`: the linear now writes coordinates in the basis.
///
/// # Shapes
/// - `linear.weight`: `[in, hidden_size]`, becomes `[in, rank]`; the bias likewise
pub fn write_in(linear: &mut Linear, basis: &PreciseMatrix) {
    if basis.is_identity() {
        return;
    }
    if let Some(bias) = &mut linear.bias {
        replace_param(bias, |b| basis.apply(b.unsqueeze::<2>()).squeeze_dim(0));
    }
    replace_param(&mut linear.weight, |w| basis.apply(w));
}

/// Replaces the value of a parameter by `f` of that value. The parameter keeps its id.
pub fn replace_param<const D: usize>(
    param: &mut Param<Tensor<D>>,
    f: impl FnOnce(Tensor<D>) -> Tensor<D>,
) {
    // Cloning a parameter copies no data.
    *param = param.clone().map(f);
}
