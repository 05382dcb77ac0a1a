//! Activations: SiLU, GELU by the hyperbolic tangent, and SwiGLU.

use burn::tensor::{Tensor, activation};
use slicegpt_kernels::{gelu_tanh, silu, swiglu};

use crate::check::{assert_central, assert_near, backward, plain, values};

/// Inputs from -40 to 40, so that both ends are in them.
fn wide(seed: u64) -> Tensor<2> {
    let x = plain([37, 50], seed) * 4.0;
    x.clone() * x.abs() * 2.5
}

#[test]
fn they_are_those_of_burn() {
    let run = |of: fn(Tensor<2>) -> Tensor<2>| {
        let x = wide(1).autodiff().require_grad();
        let y = of(x.clone());
        x.grad(&backward(&y))
    };
    assert_near("silu", run(silu), run(activation::silu));
    assert_near("gelu", run(gelu_tanh), run(activation::gelu_approximate));
}

#[test]
fn a_gate_or_what_it_multiplies_may_be_tracked() {
    for [of_gate, of_up] in [[true, true], [true, false], [false, true]] {
        let run = |of: fn(Tensor<2>, Tensor<2>) -> Tensor<2>| {
            let tracked = |x: Tensor<2>, tracked| match tracked {
                true => x.autodiff().require_grad(),
                false => x,
            };
            let (gate, up) = (tracked(wide(1), of_gate), tracked(plain([37, 50], 2), of_up));
            let grads = backward(&of(gate.clone(), up.clone()));
            let grad = |x: Tensor<2>, tracked: bool| tracked.then(|| x.grad(&grads).unwrap());
            (grad(gate, of_gate), grad(up, of_up))
        };
        let (found, exact) = (run(swiglu), run(|gate, up| activation::silu(gate) * up));
        assert_near("gate", found.0, exact.0);
        assert_near("up", found.1, exact.1);
    }
}

#[test]
fn they_are_the_central_differences() {
    let x = (plain([1, 40], 1) * 6.0).autodiff().require_grad();
    let up = plain([1, 40], 2).autodiff().require_grad();
    let all = [values(&x), values(&up)];
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let of_silu = |x: &f64| x * sigmoid(*x);
    let of_gelu = |x: &f64| {
        let u = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
        0.5 * x * (1.0 + u.tanh())
    };
    let grad = |y: Tensor<2>, x: &Tensor<2>| x.grad(&backward(&y)).unwrap();
    let formula = |of: &[Vec<f64>]| of[0].iter().map(of_silu).collect();
    assert_central("silu", &grad(silu(x.clone()), &x), &all, 0, formula);
    let formula = |of: &[Vec<f64>]| of[0].iter().map(of_gelu).collect();
    assert_central("gelu", &grad(gelu_tanh(x.clone()), &x), &all, 0, formula);
    let grads = backward(&swiglu(x.clone(), up.clone()));
    let formula =
        |of: &[Vec<f64>]| of[0].iter().zip(&of[1]).map(|(x, up)| of_silu(x) * up).collect();
    assert_central("swiglu", &x.grad(&grads).unwrap(), &all, 0, formula);
    assert_central("swiglu", &up.grad(&grads).unwrap(), &all, 1, formula);
}

#[test]
fn inputs_keep_their_values() {
    let x = plain([3, 5], 1).autodiff().require_grad();
    let before = values(&x);
    let _ = (silu(x.clone()), gelu_tanh(x.clone()), swiglu(x.clone(), x.clone()));
    assert_eq!(values(&x), before);
}
