//! The loss of a head as one operation with a gradient, without all logits in memory.
//!
//! The gradient of a loss by the logits is known as soon as the logits are, so the logits of some
//! tokens are computed, turned into their losses and gradients, and multiplied with the weight
//! again; then those of the next tokens take their place. The backward pass only scales.

use burn::tensor::{DType, Tensor, TensorData};
use rayon::prelude::*;

use crate::gemm::transposed_times;
use crate::linear::multiply;
use crate::losses::likelihood_of_row;
use crate::product::times_transposed;
use crate::view::{View, has_kernels};

/// The logits that are in memory at a time, and the least number of tokens that they are of.
const LOGITS: usize = 1 << 24;
const LEAST: usize = 16;

/// A loss that is a sum over tokens.
pub trait RowLoss: Sync {
    /// The loss of token `row` by its `logits`, which become the gradient of the loss.
    fn apply(&self, row: usize, logits: &mut [f32]) -> f64;
}

/// The negative log-likelihood of labels.
#[derive(Clone, Copy, Debug)]
pub struct CrossEntropy<'a> {
    /// The label of each token; a token without one has no loss.
    pub labels: &'a [Option<u32>],
    /// The factor of each token's loss; one if absent.
    pub factors: Option<&'a [f32]>,
}

impl RowLoss for CrossEntropy<'_> {
    fn apply(&self, row: usize, logits: &mut [f32]) -> f64 {
        let Some(label) = self.labels[row] else {
            logits.fill(0.0);
            return 0.0;
        };
        let factor = self.factors.map_or(1.0, |factors| f64::from(factors[row]));
        factor * likelihood_of_row(logits, label as usize, factor)
    }
}

/// The sum of the losses of the logits `x W + b`, as a tensor that is tracked if one of the three
/// is, and as a number.
///
/// # Shapes
/// - `weight`: `[width, vocab_size]`
/// - `bias`: `[vocab_size]`
/// - `x`: `[.., width]`
/// - output: `[1]`
///
/// # Panics
///
/// If the shapes do not fit, or `rows` panics.
pub fn loss_of_rows<const D: usize>(
    weight: &Tensor<2>,
    bias: Option<Tensor<1>>,
    x: Tensor<D>,
    rows: &impl RowLoss,
) -> (Tensor<1>, f64) {
    let [width, vocab_size] = weight.dims();
    assert_eq!(x.dims()[D - 1], width, "tokens are as wide as a head has inputs");
    let count = x.dims().iter().product::<usize>() / width;
    let device = x.device().without_autodiff();
    let x: Tensor<2> = x.reshape([count, width]);
    let (plain, frozen) = (x.clone().without_autodiff(), weight.clone().without_autodiff());
    let constant = bias.clone().map(Tensor::without_autodiff);
    let (mut by_x, mut by_weight, mut by_bias) = (Vec::new(), None, None);
    let mut loss = 0.0;
    let step = (LOGITS / vocab_size).max(LEAST);
    for start in (0..count).step_by(step) {
        let x_part = plain.clone().narrow(0, start, step.min(count - start));
        let logits = multiply(&frozen, constant.clone(), x_part.clone());
        let shape = logits.dims();
        let mut logits = host(logits);
        let of_rows = logits.par_chunks_exact_mut(vocab_size).enumerate();
        loss += of_rows.map(|(row, logits)| rows.apply(start + row, logits)).sum::<f64>();
        let data = TensorData::new(logits, shape);
        let by_logits = Tensor::<2>::from_data(data, (&device, DType::F32));
        if x.is_tracked() {
            by_x.push(through(&frozen, by_logits.clone()));
        }
        if weight.is_tracked() {
            add(&mut by_weight, products(by_logits.clone(), x_part));
        }
        if bias.as_ref().is_some_and(Tensor::is_tracked) {
            add(&mut by_bias, by_logits.sum_dim(0).reshape([vocab_size]));
        }
    }
    let of_x = (!by_x.is_empty()).then(|| linear_in(x, Tensor::cat(by_x, 0)));
    let of_weight = by_weight.map(|gradient| linear_in(weight.clone(), gradient));
    let of_bias = bias.zip(by_bias).map(|(bias, gradient)| linear_in(bias, gradient));
    let data = TensorData::new(vec![loss as f32], [1]);
    let value = Tensor::<1>::from_data(data, (&device, DType::F32));
    let parts = [of_x, of_weight, of_bias].into_iter().flatten();
    (parts.fold(value, |sum, part| sum + part), loss)
}

/// Zero, with `gradient` as its gradient by `x`.
fn linear_in<const D: usize>(x: Tensor<D>, gradient: Tensor<D>) -> Tensor<1> {
    let product = (x.cast(DType::F32) * gradient).sum();
    product.clone() - product.detach()
}

fn host(x: Tensor<2>) -> Vec<f32> {
    x.into_data_dtype(DType::F32).try_into_vec().expect("it was just made float32")
}

fn add<const D: usize>(sum: &mut Option<Tensor<D>>, x: Tensor<D>) {
    *sum = Some(match sum.take() {
        Some(sum) => sum + x,
        None => x,
    });
}

/// `y W^T`, `[rows, width]`.
fn through(weight: &Tensor<2>, y: Tensor<2>) -> Tensor<2> {
    if !has_kernels(&y) {
        return y.matmul(weight.clone().transpose().cast(DType::F32));
    }
    let ([rows, _], [width, _], device) = (y.dims(), weight.dims(), y.device());
    let mut dx = vec![0.0; rows * width];
    times_transposed(weight, View::of(y).values(), &mut dx);
    Tensor::from_data(TensorData::new(dx, [rows, width]), &device)
}

/// `x^T y`, `[width, vocab_size]`, output-major.
fn products(y: Tensor<2>, x: Tensor<2>) -> Tensor<2> {
    if !has_kernels(&y) || !has_kernels(&x) {
        return y.transpose().matmul(x.cast(DType::F32)).transpose();
    }
    let ([_, vocab_size], [_, width], device) = (y.dims(), x.dims(), y.device());
    let (x, y) = (View::of(x), View::of(y));
    let found = transposed_times(y.values(), vocab_size, x.values(), width);
    Tensor::<2>::from_data(TensorData::new(found, [vocab_size, width]), &device).transpose()
}
