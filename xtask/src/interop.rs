//! `cargo xtask interop`: what is written for RMSNorm models is a checkpoint that stock
//! transformers loads and computes alike.

pub mod python;

use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

use crate::workspace::Workspace;

/// Fixture models of the families whose compressed models need no code of their own.
const MODELS: &[&str] = &[
    "llama2",
    "llama31",
    "llama-bias",
    "mistral",
    "mistral-head-dim",
    "qwen2",
    "qwen3",
    "phi3",
    "phi4-mini",
];

/// Compresses fixture models and compares their logits with those that Hugging Face transformers,
/// without any code of ours, computes from the same files.
///
/// Makes a Python environment with what xtask/python/requirements.txt names in the target directory,
/// once.
#[derive(clap::Args)]
pub struct Args {
    /// Python to make the environment with, where there is none yet.
    #[arg(long, value_name = "PROGRAM", default_value = "python3")]
    python: String,
}

pub fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    let scripts = workspace.root.join("xtask/python");
    let requirements = scripts.join("requirements.txt");
    let folder = workspace.target_dir.join("interop-python");
    let python = python::environment(&args.python, &folder, &requirements)?;
    let slicegpt = workspace.build("slicegpt")?;
    let families = workspace.root.join("fixtures/families");
    let status = Command::new(&python)
        .arg(scripts.join("stock.py"))
        .arg(slicegpt)
        .args(MODELS.iter().map(|name| families.join(name)))
        // Everything is in files here.
        .env("HF_HUB_OFFLINE", "1")
        .status()
        .with_context(|| format!("cannot start {}", python.display()))?;
    ensure!(status.success(), "stock.py failed ({status}): see its message above");
    println!(
        "interop: {} models, each cut in several ways: stock transformers loads them and computes \
         the same logits",
        MODELS.len()
    );
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_model_is_a_fixture() {
        let workspace = Workspace::load().unwrap();
        for name in MODELS {
            let config = workspace.root.join("fixtures/families").join(name).join("config.json");
            assert!(config.is_file(), "{}", config.display());
        }
    }
}
