//! `cargo xtask serve-clients`: tests `slicegpt serve` with existing clients.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::interop::python;
use crate::workspace::Workspace;

/// Starts `slicegpt serve` with a model and sends requests with the OpenAI Python client
/// (completions, chat, streams, errors, 200 requests at once) and with lm-evaluation-harness's
/// `local-completions`. Compares the responses with `slicegpt generate` and `slicegpt logits`.
///
/// The first run makes a Python environment from xtask/python/serve.txt in the target directory.
#[derive(clap::Args)]
pub struct Args {
    /// The Python that makes the environment, if there is none yet.
    #[arg(long, value_name = "PROGRAM", default_value = "python3")]
    python: String,
    /// A checkpoint directory, instead of a fixture model.
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// A text whose lines the model can continue, instead of that of the fixtures.
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
        // All data is in local files.
        .env("HF_HUB_OFFLINE", "1");
    python::run(&mut command, &script.display().to_string())?;
    Ok(ExitCode::SUCCESS)
}
