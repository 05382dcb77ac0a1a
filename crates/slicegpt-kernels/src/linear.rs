//! Linears: `x W + b` for any number of rows and weights of any float type.

use burn::nn::Linear;
use burn::tensor::module::linear;
use burn::tensor::{DType, Tensor, TensorData};
use faer::MatRef;
use half::{bf16, f16};
use slicegpt_core::Head;

use crate::gemm::{gemm, gemm_halves};
use crate::gemv::{FEW, gemv};
use crate::norm::normalise;
use crate::view::{View, as_flex, is_host_f32};

/// `x W + b` by the weight of a linear and its bias, as fast as the device allows.
///
/// On Burn's Flex backend weights may be in half precision while `x` is float32: see [`multiply`].
pub fn project<const D: usize>(linear: &Linear, x: Tensor<D>) -> Tensor<D> {
    multiply(&linear.weight.val(), linear.bias.as_ref().map(|bias| bias.val()), x)
}

/// `sum + x W + b` by the weight of a linear and its bias, in the memory of `sum` if no other
/// tensor shares it.
pub fn project_onto<const D: usize>(sum: Tensor<D>, linear: &Linear, x: Tensor<D>) -> Tensor<D> {
    if !is_host_f32(&x) || !is_host_f32(&sum) {
        return sum + project(linear, x);
    }
    let sum = match &linear.bias {
        Some(bias) => sum + bias.val().unsqueeze(),
        None => sum,
    };
    let shape = sum.dims();
    let device = sum.device();
    let mut sum: Vec<f32> = sum.into_data().try_into_vec().expect("it is float32");
    add_product(&linear.weight.val(), x, &mut sum);
    Tensor::from_data(TensorData::new(sum, shape), &device)
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
    if !is_host_f32(&x) {
        return linear(x, weight.clone(), bias);
    }
    let [inputs, outputs] = weight.dims();
    let mut shape = x.dims();
    let rows = shape.iter().product::<usize>() / inputs;
    let device = x.device();
    let mut y = match bias {
        Some(bias) => View::of(bias.cast(DType::F32)).values().repeat(rows),
        None => vec![0.0; rows * outputs],
    };
    add_product(weight, x, &mut y);
    shape[D - 1] = outputs;
    Tensor::from_data(TensorData::new(y, shape), &device)
}

/// `y + x W`, in `y`, `[rows, outputs]`.
fn add_product<const D: usize>(weight: &Tensor<2>, x: Tensor<D>, y: &mut [f32]) {
    let [inputs, outputs] = weight.dims();
    assert_eq!(x.dims()[D - 1], inputs, "rows are as wide as a weight has inputs");
    let x = View::of(x);
    let x = x.values();
    let stored = as_flex(weight.clone().transpose());
    let dtype = stored.dtype();
    if !stored.is_contiguous() || !matches!(dtype, DType::F32 | DType::F16 | DType::BF16) {
        // Input-major, like an edited weight, or with other strides.
        let weight = View::of(weight.clone().cast(DType::F32));
        return gemm(MatRef::from_row_major_slice(weight.values(), inputs, outputs), x, y);
    }
    const STORED: &str = "it is output-major, in the type it says";
    let few = x.len() <= FEW * inputs;
    match dtype {
        DType::F16 => {
            let weights = stored.as_slice::<f16>().expect(STORED);
            if few { gemv(weights, x, inputs, y) } else { gemm_halves(weights, x, inputs, y) }
        }
        DType::BF16 => {
            let weights = stored.as_slice::<bf16>().expect(STORED);
            if few { gemv(weights, x, inputs, y) } else { gemm_halves(weights, x, inputs, y) }
        }
        _ => {
            let weights = stored.as_slice::<f32>().expect(STORED);
            if few {
                gemv(weights, x, inputs, y);
            } else {
                gemm(MatRef::from_column_major_slice(weights, inputs, outputs), x, y);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::module::Param;
    use burn::tensor::{Device, Distribution};

    use super::*;

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
