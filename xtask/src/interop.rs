//! `cargo xtask interop`: checks the checkpoints and GGUF files written here in transformers and
//! llama.cpp's Python package, adapters in PEFT, and the import of files of the reference
//! implementation.

pub mod python;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::workspace::Workspace;

/// Fixture models of the families whose compressed models are stock checkpoints.
const STOCK: &[&str] = &[
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

/// Fixture models that are cut in ways that leave their family: one for each kind of norm, position
/// encoding, topology and packing; with `--all`, one for every family and scaling.
const CUSTOM: &[&str] = &["opt", "phi", "phi3-window", "qwen3"];
const CUSTOM_ALL: &[&str] = &[
    "llama2",
    "llama31",
    "llama-bias",
    "llama-dynamic",
    "llama-yarn",
    "mistral",
    "mistral-head-dim",
    "opt-untied-gelu",
    "phi3",
    "phi3-longrope",
    "phi4-mini",
    "qwen2",
    "qwen2-window",
    "qwen3-v5",
];

/// Trained models with tokenizers.
const TRAINED: &[&str] = &["ts-opt", "ts-phi"];
const TRAINED_ALL: &[&str] = &["ts-llama3-gqa", "ts-phi3"];

/// Trained models whose compressed models are stock checkpoints, with enough layers to remove some.
const DEEP: &[&str] = &["ts-llama3-gqa"];
const DEEP_ALL: &[&str] = &["ts-phi3"];

/// Trained models that adapters are made for: with an untied head, and with a tied head and biases.
const ADAPTED: &[&str] = &["ts-llama3-gqa", "ts-opt"];
const ADAPTED_ALL: &[&str] = &["ts-phi", "ts-phi3"];

/// Fixture models that are exported and read back with llama.cpp's Python package.
const GGUF: &[&str] = &["llama31"];
const GGUF_ALL: &[&str] = &["llama2", "llama-yarn", "mistral", "qwen2", "qwen3", "phi3"];

/// Compares logits and greedy text with Hugging Face transformers, in its latest version and the
/// latest 4.x, for every family: dense and compressed, as a stock model and with the code next
/// to its weights. Also imports files of the reference implementation, merges adapters of PEFT
/// and loads adapters made here in it, and reads exported GGUF files with llama.cpp's Python
/// package.
///
/// The first run makes a Python environment from xtask/python/requirements.txt in the target
/// directory.
#[derive(clap::Args)]
pub struct Args {
    /// The Python that makes the environment, if there is none yet.
    #[arg(long, value_name = "PROGRAM", default_value = "python3")]
    python: String,
    /// Check every fixture model, on every version, instead of one of each kind.
    #[arg(long)]
    all: bool,
}

/// Runs the scripts.
struct Interop {
    python: PathBuf,
    scripts: PathBuf,
    slicegpt: PathBuf,
    fixtures: PathBuf,
}

pub fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    let scripts = workspace.root.join("xtask/python");
    let folder = workspace.target_dir.join("interop-python");
    let python = python::environment(&args.python, &folder, &scripts.join("requirements.txt"))?;
    let earlier = workspace.target_dir.join("interop-python-4");
    python::overlay(&python, &earlier, &scripts.join("transformers-4.txt"))?;
    let slicegpt = workspace.build("slicegpt")?;
    let fixtures = workspace.root.join("fixtures");
    let interop = Interop { python, scripts, slicegpt, fixtures };
    let chosen = |some: &[&'static str], rest: &[&'static str]| {
        if args.all { [some, rest].concat() } else { some.to_vec() }
    };
    let earlier = Some(earlier.as_path());
    let render = workspace.build_example("slicegpt-chat", "render")?;
    interop.check("templates.py", &[render.as_os_str()])?;
    interop.check("config_keys.py", &[])?;
    interop.script("stock.py", "families", STOCK, None)?;
    interop.script("stock.py", "models", &chosen(DEEP, DEEP_ALL), None)?;
    interop.script("custom.py", "families", &chosen(CUSTOM, CUSTOM_ALL), None)?;
    interop.script("custom.py", "models", &chosen(&[], &TRAINED[..1]), None)?;
    interop.script("generated.py", "models", &chosen(TRAINED, TRAINED_ALL), None)?;
    interop.script("imported.py", "families", &chosen(CUSTOM, CUSTOM_ALL), None)?;
    let random_adapter = workspace.build_example("slicegpt-adapters", "random_adapter")?;
    interop.adapters(&random_adapter, &chosen(ADAPTED, ADAPTED_ALL))?;
    interop.script("gguf_read.py", "families", &chosen(GGUF, GGUF_ALL), None)?;
    interop.script("stock.py", "families", &chosen(&STOCK[..1], &STOCK[1..]), earlier)?;
    interop.script("stock.py", "models", &chosen(DEEP, DEEP_ALL), earlier)?;
    interop.script("custom.py", "families", &chosen(&CUSTOM[..2], CUSTOM_ALL), earlier)?;
    interop.script("generated.py", "models", &chosen(&[], TRAINED_ALL), earlier)?;
    println!(
        "interop: chat templates give what they give in transformers; it computes the same logits \
         and writes the same text, before and after saving; imported models compute the same, and \
         so do adapters of PEFT, merged here, and adapters made here, in PEFT; GGUF files hold \
         what was in the checkpoint"
    );
    Ok(ExitCode::SUCCESS)
}

impl Interop {
    /// Runs a script that needs no model, with `arguments`.
    fn check(&self, name: &str, arguments: &[&OsStr]) -> Result<()> {
        println!("interop: {name}");
        let mut command = Command::new(&self.python);
        let status = command.arg(self.scripts.join(name)).arg("check").args(arguments).status();
        match status.with_context(|| format!("cannot start {}", self.python.display()))? {
            status if status.success() => Ok(()),
            _ => bail!("{name}: see above"),
        }
    }

    /// Compares adapters with PEFT, on fixture models. The program `random_adapter` makes one.
    fn adapters(&self, random_adapter: &Path, models: &[&str]) -> Result<()> {
        let mut command = Command::new(&self.python);
        command
            .arg(self.scripts.join("adapters.py"))
            .args([self.slicegpt.as_path(), random_adapter])
            .args(models.iter().map(|model| self.fixtures.join("models").join(model)))
            .env("HF_HUB_OFFLINE", "1");
        python::run(&mut command, "adapters.py")
    }

    /// Runs a script on fixture models. The packages of `overlay` come before the others.
    fn script(
        &self,
        name: &str,
        folder: &str,
        models: &[&str],
        overlay: Option<&Path>,
    ) -> Result<()> {
        if models.is_empty() {
            return Ok(());
        }
        let mut command = Command::new(&self.python);
        command
            .arg(self.scripts.join(name))
            .arg(&self.slicegpt)
            .args(models.iter().map(|model| self.fixtures.join(folder).join(model)))
            // All data is in local files.
            .env("HF_HUB_OFFLINE", "1");
        if let Some(overlay) = overlay {
            command.env("PYTHONPATH", overlay);
        }
        python::run(&mut command, name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_model_is_a_fixture() {
        let fixtures = Workspace::load().unwrap().root.join("fixtures");
        let families = [STOCK, CUSTOM, CUSTOM_ALL, GGUF, GGUF_ALL].concat();
        let families = families.into_iter().map(|name| fixtures.join("families").join(name));
        let trained = [TRAINED, TRAINED_ALL, DEEP, DEEP_ALL].concat();
        let trained = trained.into_iter().map(|name| fixtures.join("models").join(name));
        for folder in families.chain(trained) {
            let config = folder.join("config.json");
            assert!(config.is_file(), "{}", config.display());
        }
    }
}
