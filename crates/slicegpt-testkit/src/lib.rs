//! Shared by the tests of SliceGPT: fixtures, toy decoders, error metrics, a runner of the binary,
//! a local server that answers like the Hugging Face Hub, and the examples in the documents.
//!
//! The libraries and the binary use it in their tests only. The benches and the GPU kit
//! use its toy decoders and fixtures. It knows how to start `slicegpt`, not what its options mean.

mod cli;
mod device;
mod files;
mod gguf;
pub mod http;
mod hub;
mod metrics;
mod pages;
mod random_model;
mod raw_gguf;
mod said;
pub mod server;
mod stored;
mod toy;
mod workshop;

pub use cli::{Cli, Run};
pub use device::{device, device_name};
pub use files::{Tensors, fixtures, reference};
pub use gguf::{Gguf, GgufTensor};
pub use hub::{Access, Faults, HubServer, Model, Request, State};
pub use metrics::{is_close, largest_difference};
pub use pages::{Example, commands, examples, is_printed, pages};
pub use random_model::RandomModel;
pub use raw_gguf::{RawGguf, RawTensor};
pub use said::Said;
pub use stored::{header, stored_bytes, stored_elements, stored_tensors};
pub use toy::{ToySource, spec};
pub use workshop::{TRAINED, Workshop, read_json};
