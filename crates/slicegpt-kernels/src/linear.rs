//! Linears: `x W + b` for any number of rows and weights of any float type.

use burn::nn::Linear;
use burn::tensor::module::linear;
use burn::tensor::{DType, Tensor, TensorData};
use slicegpt_core::Head;

use crate::gradients;
use crate::gradients::low_rank::{Factors, LowRankLinear};
use crate::gradients::record::{Node, part, part_of, record};
use crate::low_rank::{Known, known};
use crate::norm::normalise;
use crate::product::{is_output_major, times};
use crate::view::{View, has_kernels};

/// `x W + b` by the weight of a linear and its bias, as fast as the device allows.
///
/// On Burn's Flex backend weights may be in half precision while `x` is float32: see [`multiply`].
pub fn project<const D: usize>(linear: &Linear, x: Tensor<D>) -> Tensor<D> {
    multiply(&linear.weight.val(), linear.bias.as_ref().map(|bias| bias.val()), x)
}

/// `sum + x W + b` by the weight of a linear and its bias, in the memory of `sum` if no other
/// tensor shares it.
pub fn project_onto<const D: usize>(sum: Tensor<D>, linear: &Linear, x: Tensor<D>) -> Tensor<D> {
    if !has_kernels(&x) || !has_kernels(&sum) {
        return sum + project(linear, x);
    }
    let bias = linear.bias.as_ref().map(|bias| bias.val());
    linear_onto(&linear.weight.val(), bias, Some(sum), x)
}

/// The logits after each token of a stream: the last norm, then the head.
///
/// # Shapes
/// - `stream`: `[batch, tokens, width]`
/// - output: `[batch, tokens, vocab_size]`
pub fn logits(head: &Head, stream: Tensor<3>) -> Tensor<3> {
    project(&head.linear, normalise(&head.norm, stream))
}

/// `x W + b`, for any number of rows.
///
/// On Burn's Flex backend weights may be float16 or bfloat16 while `x` is float32: they are read as
/// they are, and widened where they are multiplied.
///
/// # Shapes
/// - `weight`: `[inputs, outputs]`; fastest in output-major (transposed) layout
/// - `bias`: `[outputs]`
/// - `x`: `[.., inputs]`
/// - output: `[.., outputs]`
pub fn multiply<const D: usize>(
    weight: &Tensor<2>,
    bias: Option<Tensor<1>>,
    x: Tensor<D>,
) -> Tensor<D> {
    if !has_kernels(&x) {
        return linear(x, weight.clone(), bias);
    }
    linear_onto(weight, bias, None, x)
}

/// `sum + x W + bias`, on the Flex backend.
fn linear_onto<const D: usize>(
    weight: &Tensor<2>,
    bias: Option<Tensor<1>>,
    sum: Option<Tensor<D>>,
    x: Tensor<D>,
) -> Tensor<D> {
    let factors = known(weight);
    // A tracked weight in half precision has its gradient through the conversion.
    let weight = match weight.is_tracked() {
        true => weight.clone().cast(DType::F32),
        false => weight.clone(),
    };
    let [inputs, outputs] = weight.dims();
    let shape = x.dims();
    assert_eq!(shape[D - 1], inputs, "rows are as wide as a weight has inputs");
    let (x, of_x) = part(x);
    let (weight, of_weight) = part(weight);
    let (bias, of_bias) = part_of(bias.map(|bias| bias.cast(DType::F32)));
    let (sum, of_sum) = part_of(sum);
    let device = x.device();
    let x = View::of(x);
    let rows = x.values().len() / inputs;
    let mut y = starting(bias, sum, rows, outputs);
    times(&weight, x.values(), &mut y);
    let mut output_shape = shape;
    output_shape[D - 1] = outputs;
    let y = Tensor::from_data(TensorData::new(y, output_shape), &device);
    if let Some(factors) = factors {
        let nodes = ([of_x, of_bias, of_sum], factors);
        return record_low_rank(nodes, x, weight, shape, y);
    }
    let nodes = [of_x, of_weight, of_bias, of_sum];
    let operation = nodes.iter().any(Node::is_tracked).then(|| gradients::linear::Linear {
        output_major: is_output_major(&weight),
        x: nodes[1].is_tracked().then_some(x),
        weight: nodes[0].is_tracked().then_some(weight),
        shape,
    });
    record(nodes, y, operation)
}

/// Joins the output of a linear to the graph of the factors of its weight.
fn record_low_rank<const D: usize>(
    ([of_x, of_bias, of_sum], Known { a, b, scale }): ([Node; 3], Known),
    x: View,
    merged: Tensor<2>,
    shape: [usize; D],
    y: Tensor<D>,
) -> Tensor<D> {
    let ((a, of_a), (b, of_b)) = (part(a), part(b));
    let factors = Factors { a: View::of(a), b: View::of(b), scale };
    let merged = of_x.is_tracked().then_some(merged);
    let operation = LowRankLinear { factors, x, merged, shape };
    record([of_x, of_a, of_b, of_bias, of_sum], y, Some(operation))
}

/// `sum + bias`, to which a product is added: `[rows, outputs]`.
fn starting<const D: usize>(
    bias: Option<Tensor<1>>,
    sum: Option<Tensor<D>>,
    rows: usize,
    outputs: usize,
) -> Vec<f32> {
    let Some(sum) = sum else {
        return match bias {
            Some(bias) => View::of(bias).values().repeat(rows),
            None => vec![0.0; rows * outputs],
        };
    };
    let sum = match bias {
        Some(bias) => sum + bias.unsqueeze(),
        None => sum,
    };
    let sum: Vec<f32> = sum.into_data().try_into_vec().expect("it is float32");
    assert_eq!(sum.len(), rows * outputs, "a number for each output");
    sum
}

#[cfg(test)]
mod tests {
    use burn::module::Param;
    use burn::tensor::{Device, Distribution};

    use super::*;
    use crate::gemv::FEW;

    fn example(inputs: usize, outputs: usize, dtype: DType, bias: bool) -> Linear {
        let device = Device::flex();
        let values: Vec<f32> =
            (0..inputs * outputs).map(|i| ((i * 37 % 101) as f32 - 50.0) / 64.0).collect();
        let data = TensorData::new(values, [outputs, inputs]);
        let weight = Tensor::<2>::from_data(data, &device).cast(dtype).transpose();
        let bias = bias.then(|| Param::from_tensor(Tensor::ones([outputs], &device)));
        Linear { weight: Param::from_tensor(weight), bias }
    }

    /// The values of [`example`] are exact in every type, so the linear is the same in all types.
    #[test]
    fn it_is_the_linear_for_any_rows_and_types() {
        let device = Device::flex();
        for (inputs, outputs) in [(1, 1), (7, 3), (64, 5), (129, 33), (4097, 70), (70, 1000)] {
            for rows in [1, 2, 3, 4, 5, 8, FEW, FEW + 1, 100, 1100] {
                let x = Tensor::<3>::random([1, rows, inputs], Distribution::Default, &device);
                let exact = example(inputs, outputs, DType::F32, true).forward(x.clone());
                for dtype in [DType::F32, DType::F16, DType::BF16] {
                    let y = project(&example(inputs, outputs, dtype, true), x.clone());
                    assert_eq!(y.dims(), [1, rows, outputs]);
                    let error = (y - exact.clone()).abs().max().into_scalar::<f32>();
                    let most = 2e-6 * (inputs as f32).sqrt() + 1e-6;
                    assert!(error <= most, "{inputs} x {outputs}, {rows} rows, {dtype:?}: {error}");
                }
            }
        }
    }

    #[test]
    fn a_weight_in_another_layout_is_multiplied_too() {
        let device = Device::flex();
        let mut other = example(12, 9, DType::F32, false);
        let x = Tensor::<3>::random([2, 3, 12], Distribution::Default, &device);
        let exact = other.forward(x.clone());
        // Input-major, like an edited weight.
        other.weight = other.weight.map(|weight| weight + 0.0);
        let error = (project(&other, x) - exact).abs().max().into_scalar::<f32>();
        assert!(error <= 1e-5, "{error}");
    }
}
