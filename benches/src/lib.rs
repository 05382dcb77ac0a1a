//! The kernels that the passes and the forward are made of, as data: what each does, how much work
//! that is, and a closure that does it once.
//!
//! [`kernels`] lists them for a device, [`Limits`] measures what the device can do at most,
//! [`measure`] times one. The criterion bench `passes` and the program `backend-bench` are two ways
//! to look at the same list.
//!
//! This crate refuses to know checkpoints, text, files and other devices than the one it is given:
//! comparing devices is `cargo xtask bench backends`.

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
