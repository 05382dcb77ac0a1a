//! The stages, one file each. A stage does as much as its time allows.

mod compress;
mod context;
mod devices;
mod families;
mod faults;
mod kernels;
mod limits;
mod methods;
mod precision;
mod speed;

use anyhow::{Result, bail};

pub use context::{Context, Tested};
pub use devices::pick;

use crate::Log;
use crate::shape::Shape;

/// Runs the stage `name`.
///
/// # Errors
///
/// If there is no such stage, or it could not start.
pub fn run(name: &str, context: &Context, log: &mut Log<'_>) -> Result<()> {
    match name {
        "devices" => devices::run(context, log),
        "precision" => precision::run(context, log),
        "families" => families::run(context, log),
        "methods" => methods::run(context, log),
        "limits" => limits::run(context, log),
        "faults" => faults::run(context, log),
        "compress-1b" => compress::run(context, Shape::LARGE, log),
        "speed-1b" => speed::run(context, log),
        "compress-7b" => compress::run(context, Shape::LARGEST, log),
        "kernels" => kernels::run(context, log),
        _ => bail!("no stage `{name}`"),
    }
}
