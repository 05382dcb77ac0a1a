//! The model families: Llama, Mistral, Qwen, OPT and Phi as data, with one forward for all of them.
//!
//! Start from [`parse`], which turns a `config.json` into a [`DecoderSpec`], and [`Model`], which
//! makes a [`slicegpt_core::Decoder`] from a spec and a source of tensors. A [`DecoderBlock`] is
//! the [`slicegpt_core::Block`] that passes rewrite; [`Cache`] and [`Context`] serve generation.
//!
//! A family is one file under [`families`]: how its `config.json` becomes a [`DecoderSpec`], and
//! the names of its tensors. Attention, MLP, rotary positions and the block are written once, on
//! the kernels of `slicegpt-kernels`. A sliced checkpoint is the same block with other widths.
//!
//! This crate knows nothing about files, calibration or the passes: weights come from a
//! [`slicegpt_core::TensorSource`], and a block is rewritten through [`slicegpt_core::Block`]. It
//! does know the shapes that a cut stream leads to ([`Slicing`]), because it has to run them.

mod attention;
mod block;
mod cache;
mod config;
mod context;
pub mod families;
mod layout;
mod llama_like;
mod load;
mod mlp;
mod model;
mod names;
pub mod portable;
mod roles;
mod rope;
mod spec;
mod work;

pub use attention::{Attention, QUERIES};
pub use block::{Branch, DecoderBlock, Sublayer, cast_and_pack, output_major};
pub use cache::Cache;
pub use config::ConfigError;
pub use context::{Context, Next};
pub use families::{SUPPORTED, parse};
pub use mlp::{Activation, Mlp};
pub use model::Model;
pub use names::{Entry, Kind, Names, Part};
pub use rope::{Rope, Scaling};
pub use spec::{AttentionSpec, DecoderSpec, MlpSpec, NormSpec, Positions, Slicing, Topology};
