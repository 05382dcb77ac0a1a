//! Models of the Hugging Face Hub as local directories.
//!
//! [`ModelId`] is `org/name[@revision]`; [`Snapshot`] is one commit of it, whose files appear in the
//! cache that Python's `huggingface_hub` keeps, in the same layout, so that neither loads what the
//! other has. [`Settings`] come from the same environment variables.
//!
//! A file appears under its name when it is whole, and was compared with the digest that the Hub
//! gives for it; a download that was cut goes on where it ended, in this run or the next.
//!
//! This crate refuses to know what is in a file, but for the names of shards in an index and how long the
//! header of a safetensors file is.

mod address;
mod answer;
mod cache;
mod download;
mod error;
mod http;
mod id;
mod listing;
mod observer;
mod outline;
mod settings;
mod snapshot;

pub use error::HubError;
pub use id::ModelId;
pub use listing::Need;
pub use observer::Observer;
pub use settings::Settings;
pub use snapshot::Snapshot;
