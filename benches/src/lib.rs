//! The kernels of the passes and of the forward, as data: a description of each, the amount of
//! work, and a closure that does it once.
//!
//! [`kernels`] lists them for a device, [`Limits`] measures the peak performance of the device, and
//! [`measure`] times a kernel. The criterion bench `passes` and the program `backend-bench` both
//! use this list.
//!
//! This crate knows nothing about checkpoints, text, files, or any device but the given one.
//! `cargo xtask bench backends` compares devices.

mod checksum;
mod kernel;
mod kernels;
mod limits;
mod measure;
mod sizes;
mod subject;
mod work;

pub use checksum::Checksum;
pub use kernel::{Kernel, Outcome, Output, Run};
pub use kernels::kernels;
pub use limits::{Bound, Limits};
pub use measure::{Measured, measure};
pub use sizes::Sizes;
pub use subject::Subject;
pub use work::{Grade, Work};
