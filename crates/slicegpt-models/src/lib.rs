//! The model zoo: Llama, Mistral, Qwen, OPT and Phi as data, with one forward for all of them.
//!
//! A family is one file under [`families`]: how its `config.json` becomes a [`DecoderSpec`], and
//! what its tensors are called. Attention, MLP, rotary positions and the block are written once.
//! A checkpoint whose stream has been sliced is the same block with other widths.
//!
//! This crate refuses to know files, calibration and slicing: weights come from a
//! [`slicegpt_core::TensorSource`], and whoever rewrites a block does so through
//! [`slicegpt_core::Block`].

mod attention;
mod block;
mod cache;
mod config;
mod context;
pub mod families;
mod layout;
mod load;
mod mlp;
mod model;
pub mod portable;
mod rope;
mod sample;
mod spec;
mod work;

pub use attention::{Attention, QUERIES};
pub use block::{Branch, DecoderBlock, Sublayer, relaid, with_weights};
pub use cache::Cache;
pub use config::ConfigError;
pub use context::{Context, Next};
pub use families::{SUPPORTED, parse};
pub use layout::{Entry, Kind, Names, Part};
pub use mlp::{Activation, Mlp};
pub use model::Model;
pub use rope::{Rope, Scaling};
pub use sample::sample;
pub use spec::{AttentionSpec, DecoderSpec, MlpSpec, NormSpec, Positions, Slicing, Topology};
