//! Rewrites a decoder so that rotating its residual stream changes nothing.
//!
//! Start with [`fuse`]: it folds every norm of a block into the linears around it. Scales and
//! biases go into the readers, the centring of a LayerNorm into the writers (SliceGPT, section
//! 3.1). What is left is the bare norm `x / rms(x)`, which commutes with rotations. The result is a
//! [`slicegpt_core::Fused`] block, which the passes of `slicegpt-slice` take.
//!
//! [`rotate`] then expresses the stream in a different basis at each sublayer, with shortcut
//! matrices between the bases (section 3.2). [`Rotated`] does both for a whole decoder. Both leave
//! the logits unchanged up to rounding. [`TableEdit`] rewrites the embedding and the head to match.
//!
//! ```
//! use burn::nn::{Linear, LinearConfig};
//! use burn::tensor::{Device, Distribution, Tensor, activation::relu};
//! use slicegpt_core::{Block, Norm, Shortcut, Sublayer, SublayerMut};
//! use slicegpt_invariance::fuse;
//!
//! struct Mlp { norm: Norm, up: Linear, down: Linear, shortcut: Shortcut }
//!
//! impl Block for Mlp {
//!     type Context = ();
//!     fn sublayers(&self) -> usize { 1 }
//!     fn writer_inputs(&self, _: usize, x: Tensor<3>, _: &()) -> Vec<Tensor<3>> {
//!         vec![relu(self.up.forward(x))]
//!     }
//!     fn sublayer(&self, _: usize) -> Sublayer<'_> {
//!         Sublayer {
//!             norm: &self.norm,
//!             readers: vec![&self.up],
//!             writers: vec![&self.down],
//!             shortcut: &self.shortcut,
//!         }
//!     }
//!     fn sublayer_mut(&mut self, _: usize) -> SublayerMut<'_> {
//!         SublayerMut {
//!             norm: &mut self.norm,
//!             readers: vec![&mut self.up],
//!             writers: vec![&mut self.down],
//!             shortcut: &mut self.shortcut,
//!         }
//!     }
//! }
//!
//! let device = Device::flex();
//! let gain: Vec<f64> = (1..=16).map(f64::from).collect();
//! let block = Mlp {
//!     norm: Norm::bare(16, 1e-5).with_weight(&gain, &device), // an RMSNorm
//!     up: LinearConfig::new(16, 64).init(&device),
//!     down: LinearConfig::new(64, 16).init(&device),
//!     shortcut: Shortcut::identity(),
//! };
//! let x = Tensor::<3>::random([2, 5, 16], Distribution::Default, &device);
//! let expected = block.forward(x.clone(), &());
//! let fused = fuse(block);
//! assert!(fused.get().norm.is_bare());
//! let difference = (fused.get().forward(x, &()) - expected).abs().max().into_scalar::<f32>();
//! assert!(difference < 1e-3);
//! ```
//!
//! This crate knows nothing about families, files, or which directions are cut.

mod fuse;
mod rotate;
mod rotated;
mod table;

pub use fuse::{center, fold_into_head, fuse};
pub use rotate::rotate;
pub use rotated::Rotated;
pub use table::TableEdit;
