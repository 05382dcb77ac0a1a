//! Activations of tensors, in place.

use burn::tensor::Tensor;
use rayon::prelude::*;

use crate::elementwise::{GeluTanh, SHARE, Silu};
use crate::gradients::activation::{Activation, Function, Swiglu};
use crate::gradients::record::{Node, part, record};
use crate::isa::run;
use crate::view::{View, in_place};

/// `x sigmoid(x)`.
///
/// # Panics
///
/// If `x` has no [kernels](crate::has_kernels).
pub fn silu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    apply(x, Function::Silu)
}

/// GELU by the hyperbolic tangent.
///
/// # Panics
///
/// If `x` has no [kernels](crate::has_kernels).
pub fn gelu_tanh<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    apply(x, Function::GeluTanh)
}

fn apply<const D: usize>(x: Tensor<D>, function: Function) -> Tensor<D> {
    let shape = x.dims();
    let (x, of_x) = part(x);
    let operation =
        of_x.is_tracked().then(|| Activation { function, x: View::of(x.clone()), shape });
    let y = in_place(x, |x| {
        x.par_chunks_mut(SHARE).for_each(|x| match function {
            Function::Silu => run(Silu(x)),
            Function::GeluTanh => run(GeluTanh(x)),
        });
    });
    record([of_x], y, operation)
}

/// `gate sigmoid(gate) up`.
///
/// # Panics
///
/// If one of them has no [kernels](crate::has_kernels), or their shapes differ.
pub fn swiglu<const D: usize>(gate: Tensor<D>, up: Tensor<D>) -> Tensor<D> {
    assert_eq!(gate.dims(), up.dims(), "a gate for each number");
    let shape = gate.dims();
    let (gate, of_gate) = part(gate);
    let (up, of_up) = part(up);
    let nodes = [of_gate, of_up];
    let saved = nodes.iter().any(Node::is_tracked).then(|| View::of(gate.clone()));
    let up = View::of(up);
    let y = in_place(gate, |gate| {
        let up = up.values();
        gate.par_chunks_mut(SHARE).zip(up.par_chunks(SHARE)).for_each(|(gate, up)| {
            run(Silu(gate));
            gate.iter_mut().zip(up).for_each(|(gate, up)| *gate *= up);
        });
    });
    record(nodes, y, saved.map(|gate| Swiglu { gate, up, shape }))
}
