//! What of a forward Burn is slow at on a processor, in the memory of its backend there.
//!
//! Burn's processor backend shares nothing but large products out among cores, calls the C library for each
//! exponential, and makes a tensor of every step. The loops here take many numbers at a time, on all cores.
//! They take float32 tensors there and nothing else; all others are Burn's.

mod append;
mod attention;
mod dots;
mod few;
mod kernels;
mod many;
mod norm;
mod project;
mod rotate;
mod simd;
#[cfg(target_arch = "x86_64")]
mod vectors;
mod view;

use burn::tensor::{DType, Tensor};
use rayon::prelude::*;
use slicegpt_core::precise::has_own_memory;

pub use append::written;
pub use attention::causal_attention;
pub use norm::normalise;
pub use project::{multiply, project, project_onto};
pub use rotate::rotate;
use simd::{Elementwise, Simd};
use view::View;

/// Numbers that a core is given at a time.
const SHARE: usize = 1 << 14;

/// Whether `x` is one that the functions here take: float32, on the processor, and no part of a graph
/// that gradients are taken of.
pub fn takes<const D: usize>(x: &Tensor<D>) -> bool {
    let device = x.device();
    x.dtype() == DType::F32 && !device.is_autodiff() && !has_own_memory(&device)
}

/// `x sigmoid(x)`.
pub fn silu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    map(x, Simd::here().silu)
}

/// GELU by the hyperbolic tangent.
pub fn gelu_tanh<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    map(x, Simd::here().gelu_tanh)
}

/// `gate sigmoid(gate) up`.
pub fn swiglu<const D: usize>(gate: Tensor<D>, up: Tensor<D>) -> Tensor<D> {
    let up = View::of(up);
    let up = up.values();
    let silu = Simd::here().silu;
    in_place(gate, |gate| {
        gate.par_chunks_mut(SHARE).zip(up.par_chunks(SHARE)).for_each(|(gate, up)| {
            silu(gate);
            gate.iter_mut().zip(up).for_each(|(gate, up)| *gate *= up);
        });
    })
}

fn map<const D: usize>(x: Tensor<D>, function: Elementwise) -> Tensor<D> {
    in_place(x, |values| values.par_chunks_mut(SHARE).for_each(function))
}

/// A tensor whose numbers are changed where they are, if nobody else has them.
fn in_place<const D: usize>(x: Tensor<D>, change: impl FnOnce(&mut [f32])) -> Tensor<D> {
    let device = x.device();
    let mut data = x.into_data();
    change(data.as_mut_slice().expect("float32 was asked for"));
    Tensor::from_data(data, &device)
}
