//! Linears: `y = s + x W + b`.

use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::module::linear;
use burn::tensor::{DType, Tensor};
use slicegpt_kernels::{multiply, project_onto};

use crate::check::{assert_central, assert_near, backward, plain, values};

/// Shapes `[rows, inputs, outputs]`: one token, one input, and more than a thread takes at a time.
const SHAPES: [[usize; 3]; 5] = [[1, 3, 4], [5, 1, 7], [2, 6, 1], [70, 130, 200], [40, 200, 130]];

fn tracked<const D: usize>(x: Tensor<D>, tracked: bool) -> Tensor<D> {
    if tracked { x.autodiff().require_grad() } else { x }
}

/// An output-major weight, as a checkpoint stores it.
fn output_major(inputs: usize, outputs: usize) -> Tensor<2> {
    plain([outputs, inputs], 2).transpose()
}

#[test]
fn any_of_the_inputs_may_be_tracked() {
    for [rows, inputs, outputs] in SHAPES {
        for choice in 1..8 {
            for stored in [true, false] {
                let [of_x, of_weight, of_bias] = [1, 2, 4].map(|bit| choice & bit != 0);
                let what = format!("{rows} x {inputs} x {outputs}, {choice}, {stored}");
                let weight = output_major(inputs, outputs);
                let weight = if stored { weight } else { weight + 0.0 };
                let run = |y: &dyn Fn(Tensor<2>, &Tensor<2>, Tensor<1>) -> Tensor<2>| {
                    let x = tracked(plain([rows, inputs], 1), of_x);
                    let weight = tracked(weight.clone(), of_weight);
                    let bias = tracked(plain([outputs], 3), of_bias);
                    let y = y(x.clone(), &weight, bias.clone());
                    assert!(y.is_tracked(), "{what}");
                    let grads = backward(&y);
                    let grad = |x: &Tensor<2>| x.is_autodiff().then(|| x.grad(&grads).unwrap());
                    let of_bias = bias.is_autodiff().then(|| bias.grad(&grads).unwrap());
                    (grad(&x), grad(&weight), of_bias)
                };
                let found = run(&|x, weight, bias| multiply(weight, Some(bias), x));
                let exact = run(&|x, weight, bias| linear(x, weight.clone(), Some(bias)));
                assert_near(&what, found.0, exact.0);
                assert_near(&what, found.1, exact.1);
                assert_near(&what, found.2, exact.2);
            }
        }
    }
}

#[test]
fn they_are_the_central_differences() {
    let [batch, tokens, inputs, outputs] = [2, 3, 5, 4];
    let x = plain([batch, tokens, inputs], 1).autodiff().require_grad();
    let weight = output_major(inputs, outputs).autodiff().require_grad();
    let bias = plain([outputs], 3).autodiff().require_grad();
    let sum = plain([batch, tokens, outputs], 4).autodiff().require_grad();
    let linear = Linear {
        weight: Param::from_tensor(weight.clone()),
        bias: Some(Param::from_tensor(bias.clone())),
    };
    let y = project_onto(sum.clone(), &linear, x.clone());
    let grads = backward(&y);
    let formula = |of: &[Vec<f64>]| -> Vec<f64> {
        let [x, weight, bias, sum] = of else { unreachable!() };
        let number = |row: usize, output: usize| {
            let products = (0..inputs).map(|i| x[row * inputs + i] * weight[i * outputs + output]);
            sum[row * outputs + output] + products.sum::<f64>() + bias[output]
        };
        let rows = 0..batch * tokens;
        rows.flat_map(|row| (0..outputs).map(move |output| number(row, output))).collect()
    };
    let all = [values(&x), values(&weight), values(&bias), values(&sum)];
    assert_central("linear", &x.grad(&grads).unwrap(), &all, 0, formula);
    assert_central("linear", &weight.grad(&grads).unwrap(), &all, 1, formula);
    assert_central("linear", &bias.grad(&grads).unwrap(), &all, 2, formula);
    assert_central("linear", &sum.grad(&grads).unwrap(), &all, 3, formula);
}

#[test]
fn a_constant_weight_may_be_in_half_precision() {
    for [rows, inputs, outputs] in SHAPES {
        for dtype in [DType::F16, DType::BF16] {
            let half = output_major(inputs, outputs).transpose().cast(dtype).transpose();
            let run = |weight: &Tensor<2>, with: fn(&Tensor<2>, Tensor<2>) -> Tensor<2>| {
                let x = plain([rows, inputs], 1).autodiff().require_grad();
                let grads = backward(&with(weight, x.clone()));
                x.grad(&grads)
            };
            let found = run(&half, |weight, x| multiply(weight, None, x));
            let wide = half.clone().cast(DType::F32);
            let exact = run(&wide, |weight, x| linear(x, weight.clone(), None));
            assert_near(&format!("{rows} x {inputs} x {outputs}, {dtype:?}"), found, exact);
        }
    }
}

#[test]
fn a_tensor_that_is_used_twice_has_the_sum_of_its_gradients() {
    let run = |with: fn(&Tensor<2>, Tensor<2>) -> Tensor<2>| {
        let x = plain([4, 6], 1).autodiff().require_grad();
        let weight = output_major(6, 6).autodiff().require_grad();
        let y = with(&weight, with(&weight, x.clone()) + x.clone());
        let grads = backward(&y);
        (x.grad(&grads), weight.grad(&grads))
    };
    let found = run(|weight, x| multiply(weight, None, x));
    let exact = run(|weight, x| linear(x, weight.clone(), None));
    assert_near("x", found.0, exact.0);
    assert_near("weight", found.1, exact.1);
}

#[test]
fn checkpointing_of_burn_may_be_on() {
    let x = plain([4, 6], 1).autodiff().require_grad();
    let strategy = burn::tensor::GradientCheckpointingStrategy::Balanced;
    let run = |balanced: bool| {
        let set = |x: Tensor<2>| match balanced {
            true => x.with_gradient_checkpointing_strategy(strategy),
            false => x,
        };
        let x = set(x.clone());
        let weight = set(output_major(6, 6).autodiff());
        let y = multiply(&weight, None, x.clone().exp()).exp();
        assert_eq!(y.gradient_checkpointing_strategy(), x.gradient_checkpointing_strategy());
        x.grad(&y.sum().backward())
    };
    assert_near("balanced", run(true), run(false));
}

#[test]
fn constants_alone_give_a_constant() {
    let x = plain([2, 3], 1).autodiff();
    let y = multiply(&output_major(3, 4), None, x);
    assert!(y.is_autodiff() && !y.is_tracked());
    assert!(!multiply(&output_major(3, 4), None, plain([2, 3], 1)).is_autodiff());
}
