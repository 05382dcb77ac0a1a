//! `cargo xtask gpu-page`: pages in `docs/bench` and the table in `docs/devices.md`, from the
//! results of the kit.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

use crate::workspace::{Workspace, become_program};

/// Turns results of the GPU kit into docs/bench/gpu-DEVICE.md and the table of devices in
/// docs/devices.md.
#[derive(clap::Args)]
pub struct Args {
    /// Files that `run.sh` of the kit wrote: results.json.
    #[arg(required = true, value_name = "RESULTS.JSON")]
    results: Vec<PathBuf>,
}

pub fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    let binary = workspace.build("slicegpt-gpu-kit")?;
    let mut command: Vec<OsString> = vec!["page".into()];
    command.extend(args.results.iter().map(|path| path.clone().into_os_string()));
    command.extend(["--docs".into(), workspace.root.join("docs").into()]);
    become_program(&binary, &command)
}
