//! `cargo xtask harness`: `slicegpt eval tasks` asks and finds what lm-evaluation-harness does.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::interop::python;
use crate::workspace::Workspace;

/// Trained models, as fixtures in float16 and among the reference models in float32.
const MODELS: &[&str] = &["ts-llama3-gqa", "ts-opt", "ts-phi", "ts-phi3"];

/// The one that is also scored with a part cut off: what comes out is a stock checkpoint.
const CUT: &str = MODELS[0];

/// Scores fixture models on fixture documents, without examples and with two, in both programs, and compares
/// prompts, log-likelihoods and scores; with --reference also the reference models, and one that was cut,
/// on its zero-shot data.
///
/// Makes a Python environment with what xtask/python/harness.txt names in the target directory, once.
#[derive(clap::Args)]
pub struct Args {
    /// Python to make the environment with, where there is none yet.
    #[arg(long, value_name = "PROGRAM", default_value = "python3")]
    python: String,
    /// Folder with reference models and zero-shot data.
    #[arg(long, value_name = "DIR", env = "SLICEGPT_REFERENCE")]
    reference: Option<PathBuf>,
    /// Documents of each task of the reference data.
    #[arg(long, value_name = "N", default_value_t = 200)]
    limit: usize,
}

pub fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    let scripts = workspace.root.join("xtask/python");
    let requirements = scripts.join("harness.txt");
    let folder = workspace.target_dir.join("harness-python");
    let python = python::environment(&args.python, &folder, &requirements)?;
    let slicegpt = workspace.build("slicegpt")?;
    let script = scripts.join("harness.py");
    let compare = |data: &Path, options: &[&OsStr], models: &Path| -> Result<()> {
        let mut command = Command::new(&python);
        command
            .arg(&script)
            .arg(&slicegpt)
            .arg("--data")
            .arg(data)
            .args(options)
            .args(MODELS.iter().map(|name| models.join(name)))
            // Everything is in files here, and its copies of them are nobody's.
            .env("HF_HUB_OFFLINE", "1")
            .env("HF_DATASETS_CACHE", folder.join("datasets"))
            .env("DISABLE_MULTIPROC", "1");
        python::run(&mut command, "harness.py")
    };
    let fixtures = workspace.root.join("fixtures");
    for shots in ["0", "2"] {
        let options = ["--num-fewshot", shots].map(OsStr::new);
        compare(&fixtures.join("tasks"), &options, &fixtures.join("models"))?;
    }
    if let Some(reference) = &args.reference {
        let (limit, cut) = (args.limit.to_string(), reference.join("models").join(CUT));
        let options = [OsStr::new("--limit"), limit.as_ref(), "--cut".as_ref(), cut.as_ref()];
        compare(&reference.join("corpora/zeroshot"), &options, &reference.join("models"))?;
    }
    println!("harness: the same prompts, log-likelihoods and scores as lm-evaluation-harness");
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_model_is_a_fixture() {
        let workspace = Workspace::load().unwrap();
        for name in MODELS {
            let config = workspace.root.join("fixtures/models").join(name).join("config.json");
            assert!(config.is_file(), "{}", config.display());
        }
    }
}
