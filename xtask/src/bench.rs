//! `cargo xtask bench`: benchmarks of whole runs of the binary, of its evaluation next to PyTorch,
//! and of the kernels on every device.

mod backends;
mod compress;
mod eval;
mod measure;
mod report;
mod workload;

use std::process::ExitCode;

use anyhow::Result;

use crate::workspace::Workspace;

/// Measures whole runs of the binary, its evaluation next to PyTorch, or the kernels on every
/// device.
#[derive(clap::Subcommand)]
pub enum Command {
    Compress(compress::Args),
    Backends(backends::Args),
    Eval(eval::Args),
}

pub fn run(workspace: &Workspace, command: Command) -> Result<ExitCode> {
    match command {
        Command::Compress(args) => compress::run(workspace, &args),
        Command::Backends(args) => backends::run(workspace, &args),
        Command::Eval(args) => eval::run(workspace, &args),
    }
}
