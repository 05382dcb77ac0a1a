//! Weights of the form `W + c A B`.

use burn::tensor::module::linear;
use burn::tensor::{DType, Tensor};
use slicegpt_kernels::{low_rank, multiply};

use crate::check::{assert_central, assert_near, backward, plain, values};

const SCALE: f64 = 1.5;

/// Gradients of `x`, `A` and `B`, and the output.
type Found = ([Option<Tensor<2>>; 3], Tensor<2>);

fn run(
    [rows, inputs, rank, outputs]: [usize; 4],
    dtype: DType,
    tracked: bool,
    of: impl Fn(Tensor<2>, Tensor<2>, Tensor<2>, Tensor<2>) -> Tensor<2>,
) -> Found {
    let weight = plain([outputs, inputs], 1).cast(dtype).transpose();
    let x = plain([rows, inputs], 2);
    let x = if tracked { x.autodiff().require_grad() } else { x };
    let [a, b] =
        [plain([inputs, rank], 3), plain([rank, outputs], 4)].map(|x| x.autodiff().require_grad());
    let y = of(x.clone(), weight, a.clone(), b.clone());
    let grads = backward(&y);
    let of_x = tracked.then(|| x.grad(&grads).unwrap());
    ([of_x, a.grad(&grads), b.grad(&grads)], y)
}

#[test]
fn they_are_those_of_burn_in_linears_and_elsewhere() {
    for shape in [[1, 3, 1, 4], [5, 7, 2, 6], [70, 130, 8, 200], [70, 200, 8, 130]] {
        for dtype in [DType::F32, DType::F16] {
            for tracked in [true, false] {
                let exact = run(shape, dtype, tracked, |x, weight, a, b| {
                    let merged = weight.cast(DType::F32).autodiff() + a.matmul(b) * SCALE;
                    linear(x, merged, None)
                });
                let known = run(shape, dtype, tracked, |x, weight, a, b| {
                    let weight = low_rank(weight, a, b, SCALE);
                    multiply(&weight.tensor(), None, x)
                });
                let elsewhere = run(shape, dtype, tracked, |x, weight, a, b| {
                    linear(x, low_rank(weight, a, b, SCALE).tensor(), None)
                });
                // Its value is gone when the linear sees the tensor.
                let forgotten = run(shape, dtype, tracked, |x, weight, a, b| {
                    let tensor = low_rank(weight, a, b, SCALE).tensor();
                    multiply(&tensor, None, x)
                });
                for found in [known, elsewhere, forgotten] {
                    assert_near("y", Some(found.1.inner()), Some(exact.1.clone().inner()));
                    for (found, exact) in found.0.into_iter().zip(exact.0.clone()) {
                        assert_near(&format!("{shape:?}, {dtype:?}"), found, exact);
                    }
                }
            }
        }
    }
}

#[test]
fn they_are_the_central_differences() {
    let [rows, inputs, rank, outputs] = [4, 5, 2, 3];
    let weight = plain([outputs, inputs], 1).transpose();
    let [x, a, b] = [plain([rows, inputs], 2), plain([inputs, rank], 3), plain([rank, outputs], 4)]
        .map(|x| x.autodiff().require_grad());
    let merged = low_rank(weight.clone(), a.clone(), b.clone(), SCALE);
    let bias = plain([outputs], 5).autodiff().require_grad();
    let grads = backward(&multiply(&merged.tensor(), Some(bias.clone()), x.clone()));
    let frozen = values(&weight);
    let formula = |of: &[Vec<f64>]| -> Vec<f64> {
        let [x, a, b, bias] = of else { unreachable!() };
        let merged = |i: usize, o: usize| {
            let product = (0..rank).map(|r| a[i * rank + r] * b[r * outputs + o]).sum::<f64>();
            f64::from(frozen[i * outputs + o]) + SCALE * product
        };
        let number = |at: usize| {
            let (row, o) = (at / outputs, at % outputs);
            let sum: f64 = (0..inputs).map(|i| x[row * inputs + i] * merged(i, o)).sum();
            sum + bias[o]
        };
        (0..rows * outputs).map(number).collect()
    };
    let all = [values(&x), values(&a), values(&b), values(&bias)];
    for (index, x) in [&x, &a, &b].into_iter().enumerate() {
        assert_central("low rank", &x.grad(&grads).unwrap(), &all, index, formula);
    }
    assert_central("low rank", &bias.grad(&grads).unwrap(), &all, 3, formula);
}
