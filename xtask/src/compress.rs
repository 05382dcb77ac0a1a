//! `cargo xtask compress`: builds and runs `slicegpt compress`; without arguments, on a bundled
//! model.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::workspace::{Workspace, become_program};

/// Builds `slicegpt` and runs `slicegpt compress`; without arguments, on a bundled model.
///
/// All arguments are passed on, `--help` too. Without arguments, it compresses a small model of
/// `fixtures/`, with the text there for calibration and scoring.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub struct Args {
    /// Passed to `slicegpt compress` as they are.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

pub fn run(workspace: &Workspace, args: Args) -> Result<ExitCode> {
    let binary = workspace.build("slicegpt")?;
    let args = if args.args.is_empty() {
        // Paths are relative to the root, as a user in that directory would type them.
        std::env::set_current_dir(&workspace.root)
            .with_context(|| format!("cannot enter {}", workspace.root.display()))?;
        demo(workspace)
    } else {
        args.args
    };
    let command: Vec<OsString> = std::iter::once("compress".into()).chain(args).collect();
    eprintln!("     Command slicegpt {}", command.join(" ".as_ref()).display());
    become_program(&binary, &command)
}

fn demo(workspace: &Workspace) -> Vec<OsString> {
    let out = workspace.target_dir.join("slicegpt-demo");
    let mut args: Vec<OsString> = Vec::new();
    args.push("fixtures/models/ts-llama3-gqa".into());
    args.extend(["--keep-params", "0.75"].map(OsString::from));
    args.extend(["--out".into(), out.into(), "--force".into()]);
    args.extend(["--eval-text", "fixtures/text/valid.txt"].map(OsString::from));
    args.extend(["--seqlen", "256", "--samples", "128"].map(OsString::from));
    args
}
