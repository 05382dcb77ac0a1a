//! The vocabulary that all passes of SliceGPT share: what a decoder looks like to them.
//!
//! A decoder is a residual **stream** that **sublayers** read and write:
//!
//! ```text
//! x  <-  x S  +  sum_k f_k(norm(x))
//! ```
//!
//! A pass does not know what `f_k` is (attention, an MLP, or both in parallel). It knows which
//! linears **read** the normalised stream, which linears **write** to the stream, the norm before
//! the readers, and the **shortcut** `S` on the residual path.
//!
//! # Where to start
//!
//! Implement [`Block`] for a block of your own, and every pass of this workspace works on it. The
//! documentation of [`Block`] holds a complete example; `examples/custom_block.rs` of this crate
//! fuses, calibrates and slices one. [`Decoder`] describes a whole model, loaded block by block.
//!
//! What passes do to a block are two edits of its linears, [`read_in`] and [`write_in`], which
//! express the stream in a [`Basis`]:
//!
//! ```
//! use burn::nn::LinearConfig;
//! use burn::tensor::Device;
//! use slicegpt_core::{Basis, read_in, write_in};
//!
//! let device = Device::flex();
//! // Keep the first 12 of 16 coordinates of the stream.
//! let basis = Basis::axes(16, 12).on(&device);
//! let mut reader = LinearConfig::new(16, 40).init(&device);
//! let mut writer = LinearConfig::new(40, 16).init(&device);
//! read_in(&mut reader, &basis);
//! write_in(&mut writer, &basis);
//! assert_eq!(reader.weight.dims(), [12, 40]);
//! assert_eq!(writer.weight.dims(), [40, 12]);
//! ```
//!
//! # Conventions
//!
//! Weights are `[input, output]` and act on row vectors, `y = x W + b`, as in [`burn::nn::Linear`].
//! A stream is `[batch, tokens, width]`.
//!
//! This crate knows nothing about files, formats, tokenizers, model families or eigenvectors. It
//! depends on Burn and rayon only, does no IO, and nothing in it fails for a reason outside the
//! program.

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
mod role;
mod shortcut;
mod source;
mod tokens;
mod widths;

pub use basis::Basis;
pub use block::{Axis, Block, PrunableUnits, Sublayer, SublayerMut};
pub use decoder::{Decoder, Head};
pub use edit::{read_in, replace_param, write_in};
pub use fused::Fused;
pub use host::host_vec;
pub use lanes::Lanes;
pub use norm::Norm;
pub use observer::{Observer, Unobserved};
pub use role::{Role, Weight, WeightMut};
pub use shortcut::Shortcut;
pub use source::TensorSource;
pub use tokens::TokenBatch;
pub use widths::{Widths, WidthsError};
