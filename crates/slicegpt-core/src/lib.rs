//! The vocabulary every pass shares: what a decoder looks like to SliceGPT.
//!
//! A decoder is a residual **stream** that **sublayers** read from and write to:
//!
//! ```text
//! x  <-  x S  +  sum_k f_k(norm(x))
//! ```
//!
//! A pass never learns what `f_k` is (attention, an MLP, both at once): it sees which linears
//! **read** the normalised stream, which **write** it, the norm between, and the **shortcut** `S`.
//! Implement [`Block`] for a block of your own and every pass of this workspace works on it; the
//! documentation of [`Block`] holds a complete example.
//!
//! Weights are `[input, output]` and act on row vectors, `y = x W + b`, as in [`burn::nn::Linear`].
//! A stream is `[batch, tokens, width]`.
//!
//! This crate refuses to know files, formats, tokenizers, model families and eigenvectors: it has no
//! dependency but Burn and rayon, does no IO, and nothing in it can fail for a reason outside the program.

mod basis;
mod block;
mod decoder;
mod edit;
mod fused;
mod host;
mod lanes;
mod norm;
mod observer;
pub mod precise;
mod shortcut;
mod source;
mod tokens;
mod widths;

pub use basis::Basis;
pub use block::{Block, PrunableChannels, Sublayer, SublayerMut};
pub use decoder::{Decoder, Head};
pub use edit::{read_in, replace_param, write_in};
pub use fused::Fused;
pub use host::host_vec;
pub use lanes::Lanes;
pub use norm::Norm;
pub use observer::{Observer, Unobserved};
pub use shortcut::Shortcut;
pub use source::TensorSource;
pub use tokens::TokenBatch;
pub use widths::{Widths, WidthsError};
