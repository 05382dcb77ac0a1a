//! LoRA adapters as files, in the layout of PEFT: read, checked against a model, merged into its
//! weights, and written.
//!
//! This crate knows no training and no command line; of a model it knows names and shapes of
//! tensors only ([`BaseModel`]).
//!
//! Start from [`Adapter`]. [`Adapter::open`] reads a directory with `adapter_config.json` and
//! `adapter_model.safetensors`. A key of the config that changes what the adapter computes is
//! honoured, or refused by its name. [`Adapter::check`] compares the adapter with a model, and
//! [`Adapter::apply`] adds it to one tensor. [`Adapter::new`] makes an adapter from matrices, and
//! [`Adapter::write`] writes a directory that `PeftModel.from_pretrained` loads.
//!
//! ```
//! use slicegpt_adapters::{Adapter, AdapterConfig, Factors};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let out = folder.path().join("adapter");
//! let config = AdapterConfig::new(Some("org/name".into()), 1, 2.0);
//! // A change of a matrix with 2 rows and 3 columns.
//! let factors = Factors {
//!     module: "model.layers.0.mlp.down_proj".into(),
//!     rank: 1,
//!     inputs: 3,
//!     outputs: 2,
//!     a: vec![1.0, 2.0, 3.0],
//!     b: vec![0.5, -0.5],
//! };
//! Adapter::new(config, vec![factors])?.write(&out, None, false)?;
//!
//! let adapter = Adapter::open(&out)?;
//! let mut weight = vec![1.0; 6];
//! adapter.apply("model.layers.0.mlp.down_proj.weight", &mut weight)?;
//! assert_eq!(weight, [2.0, 3.0, 4.0, 0.0, -1.0, -2.0]);
//! # Ok(())
//! # }
//! ```

mod adapter;
mod check;
mod config;
mod error;
mod factors;
mod keys;
mod names;
mod patterns;
mod read;
mod selection;
mod write;

pub use adapter::{Adapter, Change};
pub use check::{BaseModel, Checked};
pub use config::{AdapterConfig, Bias};
pub use error::AdapterError;
pub use factors::{Factors, Pair};
pub use selection::{Selection, Targets};
