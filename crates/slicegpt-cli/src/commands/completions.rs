//! `slicegpt completions`: completion scripts for shells.

use std::process::ExitCode;

use anyhow::Result;
use clap_complete::Shell;

use crate::show::output;

/// Arguments of `slicegpt completions`.
#[derive(clap::Args)]
pub struct Args {
    /// The shell
    shell: Shell,
}

/// Runs it, for `command`.
pub fn run(args: Args, mut command: clap::Command) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "slicegpt", &mut script);
    output::write(&script)?;
    Ok(ExitCode::SUCCESS)
}
