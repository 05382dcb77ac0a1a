//! CPU kernels for the parts of a forward pass and of a calibration that are slow on Burn's CPU
//! backend. They work directly on the memory of that backend.
//!
//! Burn's Flex backend runs nothing but large matrix products on several threads, calls the C
//! library for each exponential, and allocates a tensor for every step. The loops here are
//! vectorised and run on all threads. They take float32 tensors on Flex and nothing else; functions
//! that may be called with any tensor ([`normalise`], [`project`], [`project_onto`], [`multiply`],
//! [`logits`], [`low_rank`]) leave all others to Burn.
//!
//! Most of them take tensors with Burn's autodiff as well ([`has_kernels`]) and have a backward
//! pass of their own. [`scatter_tokens`], [`cross_entropy`] and [`divergence_of_rows`] have none
//! ([`is_host_f32`]).
//!
//! | | kernel |
//! |---|---|
//! | linears, for few rows | GEMV: every weight is read once, in the type it is stored in |
//! | linears, for many rows | GEMM by `faer`, half precision widened in the cache |
//! | [`causal_attention`] | a few queries at a time; scores stay in the cache |
//! | [`normalise`], [`rotate`], [`silu`], [`gelu_tanh`], [`swiglu`] | one pass over the tensor |
//! | [`scatter_tokens`] | new keys and values into a KV cache |
//! | [`cross_entropy`] | losses of a head a tile at a time; its logits are never in memory |
//! | [`low_rank`] | weights `W + c A B` whose gradients cost products with thin matrices only |
//! | [`likelihood_of_row`], [`distillation_of_row`] | losses of a row of logits, with gradients |
//! | [`divergence_of_rows`] | KL divergence of two rows of logits, in one pass |
//! | [`covariance`] | `x^T x` to double-precision accuracy, from float32 products |
//!
//! Loops are compiled for several instruction sets, and the best that the CPU has is chosen at run
//! time; a token of `pulp` proves that the CPU has it.
//!
//! This crate refuses to know models, blocks, files and the purpose of its results.

#![deny(clippy::undocumented_unsafe_blocks)]

mod activation;
mod attention;
pub mod covariance;
mod cross_entropy;
mod divergence;
mod elementwise;
mod gemm;
mod gemv;
mod gradients;
mod isa;
mod linear;
mod losses;
mod low_rank;
mod norm;
mod product;
mod rotary;
mod scatter;
mod sums;
mod turn;
mod view;
mod weight;
mod weights;

pub use activation::{gelu_tanh, silu, swiglu};
pub use attention::causal_attention;
pub use cross_entropy::cross_entropy;
pub use divergence::{RowDivergence, divergence_of_rows};
pub use linear::{logits, multiply, project, project_onto};
pub use losses::{distillation_of_row, likelihood_of_row};
pub use low_rank::{LowRankWeight, low_rank};
pub use norm::normalise;
pub use rotary::rotate;
pub use scatter::scatter_tokens;
pub use view::{has_kernels, is_host_f32};
