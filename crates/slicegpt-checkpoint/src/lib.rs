//! A Hugging Face checkpoint directory: read one tensor at a time, written whole or not at all.
//!
//! [`Checkpoint`] maps safetensors shards (or reads `pytorch_model.bin`) and widens single tensors,
//! or rows of them, to float32. [`Writer`] is told every tensor before the first is written, so
//! that headers and shards are laid out beforehand and tensors may arrive in any order, in pieces.
//! [`Staging`] makes a directory appear by rename.
//!
//! This crate refuses to know models and passes: to it a tensor is a name, a shape and a type.

mod checkpoint;
mod dtype;
mod error;
mod output;
mod pickle;
mod reference;
mod shard;

pub use checkpoint::Checkpoint;
pub use dtype::Dtype;
pub use error::CheckpointError;
pub use output::{OutputError, Staging, Writer, Written, copy_companions, is_companion, lies_in};
pub use reference::Reference;
