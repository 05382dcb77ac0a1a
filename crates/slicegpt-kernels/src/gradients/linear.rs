//! The gradients of `y = s + x W + b`, with `dy` that of `y`: `dx = dy W^T`, `dW = x^T dy`,
//! `ds = dy`, and `db` is the sum of `dy` over the rows.

use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;

use super::record::{Operation, host};
use crate::gemm::transposed_times;
use crate::product::times_transposed;
use crate::sums::sum_of_rows;
use crate::view::View;

/// What the backward pass of a linear needs.
pub(crate) struct Linear<const D: usize> {
    /// If the weight is tracked.
    pub x: Option<View>,
    /// If `x` is tracked.
    pub weight: Option<Tensor<2>>,
    /// `[.., inputs]`.
    pub shape: [usize; D],
    /// Whether the weight is output-major in memory; so is its gradient.
    pub output_major: bool,
}

/// The order of the inputs: `x`, weight, bias, sum.
impl<const D: usize> Operation<4> for Linear<D> {
    fn backward(&self, output: View, needed: [bool; 4]) -> [Option<FlexTensor>; 4] {
        let dy = output.values();
        let inputs = self.shape[D - 1];
        let rows: usize = self.shape[..D - 1].iter().product();
        let outputs = output.width();
        let [of_x, of_weight, of_bias, of_sum] = needed;
        let weight = self.weight.as_ref().filter(|_| of_x);
        let x = self.x.as_ref().filter(|_| of_weight);
        [
            weight.map(|weight| {
                let mut dx = vec![0.0; rows * inputs];
                times_transposed(weight, dy, &mut dx);
                host(dx, self.shape)
            }),
            x.map(|x| weight_gradient(x.values(), dy, [inputs, outputs], self.output_major)),
            of_bias.then(|| host(sum_of_rows(dy, outputs), [outputs])),
            of_sum.then(|| output.tensor()),
        ]
    }
}

/// `x^T dy`, `[inputs, outputs]`, in the layout of the weight.
fn weight_gradient(
    x: &[f32],
    dy: &[f32],
    [inputs, outputs]: [usize; 2],
    output_major: bool,
) -> FlexTensor {
    if output_major {
        host(transposed_times(dy, outputs, x, inputs), [outputs, inputs]).transpose(0, 1)
    } else {
        host(transposed_times(x, inputs, dy, outputs), [inputs, outputs])
    }
}
