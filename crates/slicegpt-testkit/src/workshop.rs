//! [`Workshop`]: a temporary folder to run `slicegpt` in, with a model from the fixtures.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::{Cli, Run, fixtures};

/// The fixture that is a trained model with a tokenizer.
pub const TRAINED: &str = "models/ts-llama3-gqa";

/// A temporary folder and a model from the fixtures.
pub struct Workshop {
    scratch: TempDir,
    model: PathBuf,
}

impl Workshop {
    /// For the model `fixtures/{case}`, which is only read.
    ///
    /// # Panics
    ///
    /// If there is no such fixture.
    pub fn new(case: &str) -> Self {
        let model = fixtures().join(case);
        let model = model.canonicalize().unwrap_or_else(|e| panic!("{}: {e}", model.display()));
        Self { scratch: tempfile::tempdir().expect("a temporary folder"), model }
    }

    /// The path of a file of the model; of the model itself if `name` is empty.
    pub fn model(&self, name: &str) -> PathBuf {
        if name.is_empty() { self.model.clone() } else { self.model.join(name) }
    }

    /// The path of a file in the temporary folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// Writes a file in the temporary folder.
    ///
    /// # Panics
    ///
    /// If it cannot be written.
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), contents).unwrap_or_else(|e| panic!("{name}: {e}"));
    }

    /// `slicegpt` with the arguments in `command`, in the temporary folder. In an argument, `MODEL`
    /// stands for the path of the model and `FIXTURES` for the folder of the fixtures.
    pub fn cli(&self, command: &str) -> Cli {
        let word = |word: &str| {
            let word = word.replace("MODEL", &self.model.to_string_lossy());
            word.replace("FIXTURES", &fixtures().to_string_lossy())
        };
        Cli::new("").args(command.split_whitespace().map(word)).current_dir(self.scratch.path())
    }

    /// [`Cli::run`] of [`Workshop::cli`].
    pub fn run(&self, command: &str) -> Run {
        self.cli(command).run()
    }

    /// [`Cli::succeed`] of [`Workshop::cli`].
    pub fn succeed(&self, command: &str) -> Run {
        self.cli(command).succeed()
    }

    /// [`Cli::json`] of [`Workshop::cli`].
    pub fn json(&self, command: &str) -> Value {
        self.cli(command).json()
    }

    /// Reads a JSON file of the temporary folder.
    ///
    /// # Panics
    ///
    /// As [`read_json`].
    pub fn read_json(&self, name: &str) -> Value {
        read_json(&self.path(name))
    }

    /// The perplexity of checkpoint `model` on the tokens of the fixture.
    ///
    /// # Panics
    ///
    /// If it cannot be computed.
    pub fn perplexity(&self, model: &str) -> f64 {
        let scored = self.json(&format!("eval ppl {model} --tokens MODEL/expected.safetensors"));
        scored["perplexity"].as_f64().expect("a number")
    }
}

/// Reads a JSON file.
///
/// # Panics
///
/// If there is none.
pub fn read_json(path: &Path) -> Value {
    let text = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
