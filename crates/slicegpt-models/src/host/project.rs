//! Linears of few rows, as when text is generated: a product that takes each weight from memory once,
//! in the type it is stored as.

use burn::backend::Flex;
use burn::nn::Linear;
use burn::tensor::module::linear;
use burn::tensor::{DType, Tensor, TensorData};
use rayon::prelude::*;

use super::simd::{Products, Simd};
use super::takes;

/// Rows up to which memory, not arithmetic, is what a product waits for.
const FEW: usize = 16;

/// Weights that a core is given at a time.
const SHARE: usize = 1 << 17;

/// `multiply` by the weight of a linear, with its bias.
pub fn project<const D: usize>(linear: &Linear, x: Tensor<D>) -> Tensor<D> {
    multiply(&linear.weight.val(), linear.bias.as_ref().map(|bias| bias.val()), x)
}

/// `x W + b`, for any number of rows.
///
/// On the processor weights may be float16 or bfloat16 while `x` is float32: few rows read them as
/// they are, many rows a copy that is widened for the product.
///
/// # Shapes
/// - `weight`: `[inputs, outputs]`; quick for few rows where it lies in memory output by output
/// - `bias`: `[outputs]`
/// - `x`: `[.., inputs]`
/// - output: `[.., outputs]`
pub fn multiply<const D: usize>(
    weight: &Tensor<2>,
    bias: Option<Tensor<1>>,
    x: Tensor<D>,
) -> Tensor<D> {
    if !takes(&x) {
        return linear(x, weight.clone(), bias);
    }
    let rows: usize = x.dims()[..D - 1].iter().product();
    let quick = if rows <= FEW { few(weight, &x) } else { None };
    match (quick, bias) {
        (Some(y), Some(bias)) => y + bias.unsqueeze(),
        (Some(y), None) => y,
        // Casting to the type it has is nothing.
        (None, bias) => linear(x, weight.clone().cast(DType::F32), bias),
    }
}

/// `x W` where there are few rows; `None` if the weights do not lie output by output.
fn few<const D: usize>(weight: &Tensor<2>, x: &Tensor<D>) -> Option<Tensor<D>> {
    let device = x.device();
    let [inputs, outputs] = weight.dims();
    let stored = weight.clone().transpose().try_into_primitive::<Flex>().ok()?;
    if !stored.is_contiguous() {
        return None;
    }
    let mut shape = x.dims();
    let data = x.clone().into_data();
    let x: &[f32] = data.as_slice().ok()?;
    let start = stored.layout().start_offset();
    let range = start..start + inputs * outputs;
    let simd = Simd::here();
    let y = match stored.dtype() {
        DType::F32 => side_by_side(&stored.storage()[range], x, inputs, simd.products),
        DType::F16 => side_by_side(&stored.storage()[range], x, inputs, simd.products_f16),
        DType::BF16 => side_by_side(&stored.storage()[range], x, inputs, simd.products_bf16),
        _ => return None,
    };
    shape[D - 1] = outputs;
    Some(Tensor::from_data(TensorData::new(y, shape), &device))
}

/// `x W` by all cores, `[rows, outputs]`.
fn side_by_side<W: Sync>(
    weights: &[W],
    x: &[f32],
    inputs: usize,
    products: Products<W>,
) -> Vec<f32> {
    let rows = x.len() / inputs;
    let outputs = weights.len() / inputs;
    let share = (SHARE / inputs).max(1);
    let mut by_output = vec![0.0; outputs * rows];
    let shares = by_output.par_chunks_mut(share * rows).zip(weights.par_chunks(share * inputs));
    shares.for_each(|(out, weights)| products(weights, x, inputs, out));
    if rows == 1 {
        return by_output;
    }
    (0..rows).flat_map(|row| by_output[row..].iter().step_by(rows).copied()).collect()
}

#[cfg(test)]
mod tests {
    use burn::module::Param;
    use burn::tensor::{Device, Distribution};

    use super::*;
    use crate::load::linear_weight;

    fn example(inputs: usize, outputs: usize, dtype: DType, bias: bool) -> Linear {
        let device = Device::flex();
        let values = (0..inputs * outputs).map(|i| ((i * 37 % 101) as f32 - 50.0) / 64.0).collect();
        let weight = linear_weight(values, [outputs, inputs], &device).cast(dtype);
        let bias = bias.then(|| Param::from_tensor(Tensor::ones([outputs], &device)));
        Linear { weight: Param::from_tensor(weight), bias }
    }

    /// The values of [`example`] are exact in every type, so all of them are one linear.
    #[test]
    fn it_is_the_linear_for_any_rows_and_types() {
        let device = Device::flex();
        for (inputs, outputs) in [(1, 1), (7, 3), (64, 5), (129, 33), (4097, 70)] {
            for rows in [1, 2, 3, 4, 5, 8, FEW, FEW + 1] {
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
    fn a_weight_that_lies_otherwise_is_multiplied_too() {
        let device = Device::flex();
        let mut other = example(12, 9, DType::F32, false);
        let x = Tensor::<3>::random([2, 3, 12], Distribution::Default, &device);
        let exact = other.forward(x.clone());
        // Input by input, as an edited weight lies.
        other.weight = other.weight.map(|weight| weight + 0.0);
        let error = (project(&other, x) - exact).abs().max().into_scalar::<f32>();
        assert!(error <= 1e-5, "{error}");
    }
}
