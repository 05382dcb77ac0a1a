//! `cargo xtask fixtures`: rebuilds `fixtures/` from the reference models.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};

use crate::workspace::{Workspace, become_program};

/// Rebuilds `fixtures/` from the reference models.
#[derive(clap::Args)]
pub struct Args {
    /// The folder that holds `models/` [default: $SLICEGPT_REFERENCE].
    #[arg(long, value_name = "DIR")]
    reference: Option<PathBuf>,
    /// Arguments for the program `fixtures` of the test kit.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

pub fn run(workspace: &Workspace, args: Args) -> Result<ExitCode> {
    let reference = args
        .reference
        .or_else(|| std::env::var_os("SLICEGPT_REFERENCE").map(PathBuf::from))
        .context("no reference models: pass --reference DIR or set SLICEGPT_REFERENCE")?;
    let models = reference.join("models");
    ensure!(
        models.is_dir(),
        "{} is not a directory: name the directory that holds models/",
        models.display()
    );
    let binary = workspace.build("fixtures")?;
    let mut command: Vec<OsString> = vec!["--models".into(), models.into()];
    command.extend(["--out".into(), workspace.root.join("fixtures").into()]);
    command.extend(args.args);
    become_program(&binary, &command)
}
