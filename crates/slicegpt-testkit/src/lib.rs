//! What the tests of SliceGPT share: where fixtures are, tensors out of files, error metrics, toy
//! decoders.
//!
//! A development dependency only. It refuses to know the command line.

mod device;
mod files;
mod gguf;
mod metrics;
mod toy;

pub use device::device;
pub use files::{Tensors, fixtures, reference};
pub use gguf::{Gguf, GgufTensor};
pub use metrics::{largest_difference, relative};
pub use toy::{ToySource, spec};
