//! What the tests of SliceGPT share: where fixtures are, tensors out of files, error metrics, toy
//! decoders, checkpoints with random weights, a Hub on this machine, examples in the documents.
//!
//! A development dependency only. It refuses to know the command line.

mod device;
mod files;
mod gguf;
mod hub;
mod metrics;
mod pages;
mod random_model;
mod toy;

pub use device::device;
pub use files::{Tensors, fixtures, reference};
pub use gguf::{Gguf, GgufTensor};
pub use hub::{Access, Faults, HubServer, Model, Request, State};
pub use metrics::{largest_difference, relative};
pub use pages::{Example, commands, examples, is_printed, pages};
pub use random_model::RandomModel;
pub use toy::{ToySource, spec};
