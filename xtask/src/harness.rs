//! `cargo xtask harness`: compares `slicegpt eval tasks` with lm-evaluation-harness.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::interop::python;
use crate::workspace::Workspace;

/// Trained models: float16 in the fixtures, float32 in the reference models.
const MODELS: &[&str] = &["ts-llama3-gqa", "ts-opt", "ts-phi", "ts-phi3"];

/// The model that is also scored after compression: the output is a stock checkpoint.
const CUT: &str = MODELS[0];

/// Scores fixture models on fixture documents in both programs, with no and with two few-shot
/// examples, and compares prompts, log-likelihoods and scores. With --reference, also scores the
/// reference models, and one of them compressed, on the zero-shot data there.
///
/// The first run makes a Python environment from xtask/python/harness.txt in the target directory.
#[derive(clap::Args)]
pub struct Args {
    /// The Python that makes the environment, if there is none yet.
    #[arg(long, value_name = "PROGRAM", default_value = "python3")]
    python: String,
    /// The folder with the reference models and zero-shot data.
    #[arg(long, value_name = "DIR", env = "SLICEGPT_REFERENCE")]
    reference: Option<PathBuf>,
    /// The number of documents of each task in the reference data.
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
            // All data is in local files, and the cached copies are thrown away.
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
