//! `cargo xtask serve-clients`: clients that others wrote get along with `slicegpt serve`.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::interop::python;
use crate::workspace::Workspace;

/// Starts `slicegpt serve` with a model and asks it with the OpenAI Python client (completions, chat, streams,
/// errors, 200 requests at once) and lm-evaluation-harness's `local-completions`; what they are told is that
/// of `slicegpt generate` and `slicegpt logits`.
///
/// Makes a Python environment with what xtask/python/serve.txt names in the target directory, once.
#[derive(clap::Args)]
pub struct Args {
    /// Python to make the environment with, where there is none yet.
    #[arg(long, value_name = "PROGRAM", default_value = "python3")]
    python: String,
    /// Checkpoint directory, in place of a fixture model.
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Text whose lines the model can continue, in place of a fixture's.
    #[arg(long, value_name = "FILE")]
    text: Option<PathBuf>,
}

pub fn run(workspace: &Workspace, args: Args) -> Result<ExitCode> {
    let scripts = workspace.root.join("xtask/python");
    let requirements = scripts.join("serve.txt");
    let folder = workspace.target_dir.join("serve-python");
    let python = python::environment(&args.python, &folder, &requirements)?;
    let slicegpt = workspace.build("slicegpt")?;
    let fixtures = workspace.root.join("fixtures");
    let script = scripts.join("serve.py");
    let mut command = Command::new(&python);
    command
        .arg(&script)
        .arg(slicegpt)
        .arg(args.model.unwrap_or_else(|| fixtures.join("models/ts-llama3-gqa")))
        .arg(args.text.unwrap_or_else(|| fixtures.join("text/valid.txt")))
        // Everything is in files here.
        .env("HF_HUB_OFFLINE", "1");
    python::run(&mut command, &script.display().to_string())?;
    Ok(ExitCode::SUCCESS)
}
