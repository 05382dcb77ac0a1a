//! `cargo xtask random-model`: writes a checkpoint of any shape with seeded random weights.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;

use crate::workspace::{Workspace, become_program};

/// Writes a checkpoint of any shape with seeded random weights.
///
/// All arguments are passed on: `cargo xtask random-model --help` lists them.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub struct Args {
    /// Arguments for the program `random-model` of the test kit.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

pub fn run(workspace: &Workspace, args: Args) -> Result<ExitCode> {
    let binary = workspace.build("random-model")?;
    become_program(&binary, &args.args)
}
