//! Rewrites a decoder so that rotating its residual stream changes nothing.
//!
//! **Fuse** folds every norm into what reads it: scales and biases into the readers, the centring
//! of a LayerNorm into the writers (SliceGPT, section 3.1). What is left is the bare norm
//! `x / rms(x)`, which commutes with rotations. **Rotate** then expresses the stream of each
//! sublayer in a basis of its own, with a shortcut matrix between neighbours (section 3.2).
//! Neither changes a logit.
//!
//! This crate refuses to know families, files and what is cut: it sees readers, writers and norms.

mod fuse;
mod rotate;
mod rotated;
mod table;

pub use fuse::{center, fold_into_head, fuse};
pub use rotate::rotate;
pub use rotated::Rotated;
pub use table::TableEdit;
