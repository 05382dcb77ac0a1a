//! Models of the Hugging Face Hub as local directories.
//!
//! [`ModelId`] is `org/name[@revision]`. [`Snapshot`] is one commit of a model, whose files are in
//! the cache of Python's `huggingface_hub`, in the same layout, so that neither downloads what the
//! other has. [`HubSettings`] come from the same environment variables.
//!
//! A file appears under its name when it is complete and its digest is the one that the Hub
//! announced. An interrupted download is resumed, in this run or the next.
//!
//! This crate knows nothing about the contents of files, except the names of shards in an index and
//! the length of the header of a safetensors file.

mod address;
mod cache;
mod download;
mod error;
mod header;
mod http;
mod id;
mod listing;
mod observer;
mod outline;
mod refusal;
mod settings;
mod snapshot;

pub use error::HubError;
pub use id::ModelId;
pub use listing::Need;
pub use observer::DownloadObserver;
pub use settings::HubSettings;
pub use snapshot::Snapshot;
