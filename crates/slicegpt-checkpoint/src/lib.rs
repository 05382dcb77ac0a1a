//! Reads Hugging Face checkpoint directories one tensor at a time, and writes them whole or not at
//! all.
//!
//! Start from [`Checkpoint`]. It maps safetensors shards (or reads `pytorch_model.bin`) and
//! converts single tensors, or rows of them, to float32. [`Writer`] takes the names and shapes of
//! all tensors before the first is written, so that headers and shards are laid out in advance and
//! tensors may arrive in any order and in parts. [`Staging`] makes an output directory appear by
//! rename.
//!
//! ```
//! use slicegpt_checkpoint::{Checkpoint, Dtype, Staging, Writer};
//! use slicegpt_core::TensorSource;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let out = folder.path().join("out");
//! let staging = Staging::new(&out, None, false)?;
//! let tensors = vec![("weight".to_string(), vec![2, 3])];
//! let mut writer = Writer::create(staging.path(), tensors, Dtype::F16, 5_000_000_000)?;
//! writer.write("weight", &[0.5; 6])?;
//! writer.finish()?;
//! std::fs::write(staging.path().join("config.json"), "{}")?;
//! staging.commit()?;
//!
//! let checkpoint = Checkpoint::open(&out)?;
//! assert_eq!(checkpoint.rows("weight", [2, 3], 1..2)?, [0.5; 3]);
//! # Ok(())
//! # }
//! ```
//!
//! This crate knows nothing about models or passes: to it, a tensor is a name, a shape and a type.

mod checkpoint;
mod descriptions;
mod dtype;
mod error;
mod foreign;
mod leftovers;
mod output;
mod pickle;
mod reference;
mod shard;

pub use checkpoint::Checkpoint;
pub use dtype::Dtype;
pub use error::CheckpointError;
pub use foreign::{ForeignSource, ForeignTensor};
pub use output::{
    OutputError, Staging, Writer, Written, copy_companions, is_companion, is_tokenizer_file,
    lies_in, remove_unfinished,
};
pub use reference::Reference;
