//! `slicegpt compress`: slice a checkpoint.

mod args;
mod evaluate;
mod prepared;
mod summary;
mod work;

use std::process::ExitCode;

use anyhow::Result;

pub use self::args::Args;
use self::prepared::Prepared;
use self::work::execute;

/// Runs it.
pub fn run(args: Args) -> Result<ExitCode> {
    let prepared = Prepared::new(&args)?;
    execute(prepared)?.show()
}
