//! `cargo xtask bench`: whole runs of the binary, measured from outside.

mod compress;
mod machine;
mod measure;
mod report;
mod workload;

use std::process::ExitCode;

use anyhow::Result;

use crate::workspace::Workspace;

/// Measures whole runs of the binary: seconds, CPU seconds and peak memory.
#[derive(clap::Subcommand)]
pub enum Command {
    Compress(compress::Args),
}

pub fn run(workspace: &Workspace, command: Command) -> Result<ExitCode> {
    match command {
        Command::Compress(args) => compress::run(workspace, &args),
    }
}
