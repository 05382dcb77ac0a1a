//! `cargo xtask llama-cpp`: runs the files of `slicegpt export gguf` in llama.cpp and compares.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::interop::python;
use crate::workspace::Workspace;

/// Fixtures of every family that can be exported, and of every kind of position encoding.
const MODELS: &[&str] = &[
    "models/ts-llama3-gqa",
    "models/ts-phi3",
    "families/llama2",
    "families/llama31",
    "families/llama-yarn",
    "families/llama-bias",
    "families/llama-dynamic",
    "families/llama-sharded",
    "families/mistral",
    "families/mistral-head-dim",
    "families/qwen2",
    "families/qwen2-window",
    "families/qwen3",
    "families/phi3",
    "families/phi3-longrope",
    "families/phi3-window",
    "families/phi4-mini",
];

/// Models that others trained, with their own tokenizers.
const REFERENCE: &[&str] = &["stories260K", "babyllama-1m-tok105", "ts-llama3-gqa", "ts-phi3"];

/// Exports fixture models, dense and compressed, as GGUF files of every type, and compares logits,
/// greedy text and token ids with llama.cpp, and quantised files with those of its own quantiser.
///
/// The first run compiles llama.cpp (as llama-cpp-python from PyPI) in the target directory, which
/// needs a C++ compiler and takes a quarter of an hour.
#[derive(clap::Args)]
pub struct Args {
    /// The Python that makes the environment, if there is none yet.
    #[arg(long, value_name = "PROGRAM", default_value = "python3")]
    python: String,
    /// The folder with the reference models, to check these too.
    #[arg(long, value_name = "DIR", env = "SLICEGPT_REFERENCE")]
    reference: Option<PathBuf>,
}

pub fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    let scripts = workspace.root.join("xtask/python");
    let requirements = scripts.join("llama-cpp.txt");
    let folder = workspace.target_dir.join("llama-cpp-python");
    let python = python::environment(&args.python, &folder, &requirements)?;
    let slicegpt = workspace.build("slicegpt")?;
    let fixtures = workspace.root.join("fixtures");
    let mut models: Vec<PathBuf> = MODELS.iter().map(|name| fixtures.join(name)).collect();
    if let Some(reference) = &args.reference {
        models.extend(REFERENCE.iter().map(|name| reference.join("models").join(name)));
    }
    start(&python, &scripts.join("llama_cpp_run.py"), &slicegpt, &models)?;
    let text = [fixtures.join("text/valid.txt")];
    start(&python, &scripts.join("llama_cpp_tokens.py"), &slicegpt, &text)?;
    println!(
        "llama-cpp: {} models, dense and cut: llama.cpp writes the same greedy text",
        models.len()
    );
    Ok(ExitCode::SUCCESS)
}

fn start(python: &Path, script: &Path, slicegpt: &Path, args: &[PathBuf]) -> Result<()> {
    let mut command = Command::new(python);
    command.arg(script).arg(slicegpt).args(args);
    python::run(&mut command, &script.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_model_is_a_fixture() {
        let workspace = Workspace::load().unwrap();
        for name in MODELS {
            let config = workspace.root.join("fixtures").join(name).join("config.json");
            assert!(config.is_file(), "{}", config.display());
        }
    }
}
