//! CPU kernels: the parts of a forward and of a calibration at which Burn's CPU backend is slow, on
//! the memory of that backend.
//!
//! Burn's Flex backend shares nothing but large products out among threads, calls the C library for
//! each exponential, and makes a tensor of every step. The loops here work on many numbers at a
//! time, on all threads. They take float32 tensors on Flex ([`is_host_f32`]) and nothing else;
//! functions that may be called with any tensor ([`normalise`], [`project`], [`project_onto`],
//! [`multiply`], [`logits`]) leave all others to Burn.
//!
//! | | kernel |
//! |---|---|
//! | linears, for few rows | GEMV: every weight is read once, in the type it is stored in |
//! | linears, for many rows | GEMM by `faer`, half precision widened in the cache |
//! | [`causal_attention`] | a few queries at a time; scores stay in the cache |
//! | [`normalise`], [`rotate`], [`silu`], [`gelu_tanh`], [`swiglu`] | one pass over the tensor |
//! | [`scatter_tokens`] | new keys and values into a KV cache |
//! | [`cross_entropy`] | losses of a head a tile at a time; its logits are never in memory |
//! | [`divergence_of_rows`] | KL divergence of two rows of logits, in one pass |
//! | [`covariance`] | `x^T x` to double-precision accuracy, from float32 products |
//!
//! Loops are compiled for every instruction set that matters, and the best is chosen at run time by
//! the tokens of `pulp`, which prove that the CPU has it.
//!
//! This crate refuses to know models, blocks, files and what its results are for.

#![deny(clippy::undocumented_unsafe_blocks)]

mod activation;
mod attention;
pub mod covariance;
mod cross_entropy;
mod divergence;
mod elementwise;
mod gemm;
mod gemv;
mod isa;
mod linear;
mod norm;
mod rotary;
mod scatter;
mod view;
mod weight;

pub use activation::{gelu_tanh, silu, swiglu};
pub use attention::causal_attention;
pub use cross_entropy::cross_entropy;
pub use divergence::{RowDivergence, divergence_of_rows};
pub use linear::{logits, multiply, project, project_onto};
pub use norm::normalise;
pub use rotary::rotate;
pub use scatter::scatter_tokens;
pub use view::is_host_f32;
