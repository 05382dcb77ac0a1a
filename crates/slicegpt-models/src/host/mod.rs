//! Softmax, activations and products of few rows in the memory of the processor, several numbers at a
//! time.
//!
//! Burn's processor backend calls the C library for each exponential: on the shape of a small Llama
//! that is a quarter of a forward. Its products are made for many rows: one row takes three times as
//! long as reading the weights does. These take float32 tensors there and nothing else; all others are
//! Burn's.

mod dots;
mod few;
mod kernels;
mod many;
mod project;
mod simd;
#[cfg(target_arch = "x86_64")]
mod vectors;
mod view;

use burn::tensor::{DType, Tensor};
use rayon::prelude::*;
use slicegpt_core::precise::has_own_memory;

pub use project::{multiply, project, project_onto};
use simd::{Elementwise, Simd};

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

/// Softmax of `scale` times scores over the keys that each query sees: the last query sees all of
/// them, each before it one less.
///
/// # Shapes
/// - `scores`: `[batch, heads, n * queries, keys]`, the queries `n` times (query heads that share keys)
/// - output: the same; 0 where a query does not see
pub fn causal_softmax(scores: Tensor<4>, queries: usize, scale: f32) -> Tensor<4> {
    let [_, _, _, keys] = scores.dims();
    let softmax = Simd::here().softmax;
    in_place(scores, |scores| {
        scores.par_chunks_mut(queries * keys).for_each(|scores| {
            for (query, row) in scores.chunks_mut(keys).enumerate() {
                let (seen, later) = row.split_at_mut(keys + query + 1 - queries);
                softmax(seen, scale);
                later.fill(0.0);
            }
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
