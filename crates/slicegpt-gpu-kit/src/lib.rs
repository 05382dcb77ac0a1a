//! The checks and measurements of the GPU kit, and the pages made from its results.
//!
//! The kit is an archive for a bare machine with a GPU (`cargo xtask gpu-kit`): the binary
//! `slicegpt`, the binary `slicegpt-gpu-kit`, some fixtures and the script `run.sh`. The script
//! runs the [`stages`] one by one, each in a process with a time limit; a stage prints each result
//! as one JSON line as soon as it has it ([`Line`]). [`Results`] holds all lines of a run, and
//! [`page`] shows them.
//!
//! This crate does not know how a tensor is computed or how an archive is packed.

mod agreement;
mod clock;
mod line;
mod log;
pub mod page;
mod peaks;
mod plan;
mod program;
mod results;
pub mod shape;
pub mod stages;
mod usage;

pub use agreement::{Agreement, HALVES, METHODS};
pub use clock::Deadline;
pub use line::{Check, Compress, Fault, Line, Rate, Speed, Usage};
pub use log::Log;
pub use peaks::{Peak, peak};
pub use plan::{STAGES, Stage, limit_seconds};
pub use program::{Finished, Program};
pub use results::{Results, SCHEMA, StageResult, Status, write_whole};
