//! Activations of tensors, in place.

use burn::tensor::Tensor;
use rayon::prelude::*;

use crate::elementwise::{GeluTanh, SHARE, Silu};
use crate::isa::run;
use crate::view::{View, in_place};

/// `x sigmoid(x)`.
///
/// # Panics
///
/// If `x` is not [host float32](crate::is_host_f32).
pub fn silu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    in_place(x, |x| x.par_chunks_mut(SHARE).for_each(|x| run(Silu(x))))
}

/// GELU by the hyperbolic tangent.
///
/// # Panics
///
/// If `x` is not [host float32](crate::is_host_f32).
pub fn gelu_tanh<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    in_place(x, |x| x.par_chunks_mut(SHARE).for_each(|x| run(GeluTanh(x))))
}

/// `gate sigmoid(gate) up`.
///
/// # Panics
///
/// If one of them is not [host float32](crate::is_host_f32), or their shapes differ.
pub fn swiglu<const D: usize>(gate: Tensor<D>, up: Tensor<D>) -> Tensor<D> {
    assert_eq!(gate.dims(), up.dims(), "a gate for each number");
    let up = View::of(up);
    let up = up.values();
    in_place(gate, |gate| {
        gate.par_chunks_mut(SHARE).zip(up.par_chunks(SHARE)).for_each(|(gate, up)| {
            run(Silu(gate));
            gate.iter_mut().zip(up).for_each(|(gate, up)| *gate *= up);
        });
    })
}
