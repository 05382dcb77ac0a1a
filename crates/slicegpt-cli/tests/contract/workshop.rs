//! [`Workshop`]: a temporary folder to run `slicegpt` in, and files to look into afterwards.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use assert_cmd::Command;
use safetensors::SafeTensors;
use safetensors::tensor::{Metadata, TensorInfo};
use serde_json::Value;
use slicegpt_testkit::fixtures;
use tempfile::TempDir;

/// A trained model with a tokenizer.
pub const TRAINED: &str = "models/ts-llama3-gqa";

/// A temporary folder, and one of the fixtures.
pub struct Workshop {
    scratch: TempDir,
    model: PathBuf,
}

impl Workshop {
    /// For `fixtures/{case}`, which is not written to.
    pub fn new(case: &str) -> Self {
        let model = fixtures().join(case).canonicalize().unwrap();
        Self { scratch: tempfile::tempdir().unwrap(), model }
    }

    /// A file of the model.
    #[allow(dead_code)] // not every suite looks into it
    pub fn model(&self, name: &str) -> PathBuf {
        self.model.join(name)
    }

    /// A file of the temporary folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), contents).unwrap();
    }

    /// Runs `command` in the temporary folder; `MODEL` and `FIXTURES` in it are these folders.
    /// Whatever it is, it must not panic.
    pub fn run(&self, command: &str) -> Output {
        let mut slicegpt = Command::cargo_bin("slicegpt").unwrap();
        slicegpt.current_dir(self.scratch.path()).timeout(Duration::from_secs(120));
        for word in command.split_whitespace() {
            let word = word.replace("MODEL", self.model.to_str().unwrap());
            slicegpt.arg(word.replace("FIXTURES", fixtures().to_str().unwrap()));
        }
        let output = slicegpt.output().unwrap();
        assert!(!errors(&output).contains("panicked"), "{command}: {}", errors(&output));
        output
    }

    /// Runs `command`, which succeeds.
    pub fn succeed(&self, command: &str) -> Output {
        let output = self.run(command);
        assert!(output.status.success(), "{command}: {}", errors(&output));
        output
    }

    /// Runs `command --json`, which succeeds and prints one JSON object and nothing else.
    pub fn json(&self, command: &str) -> Value {
        let output = self.succeed(&format!("{command} --json"));
        let json: Value = serde_json::from_slice(&output.stdout).expect(command);
        assert!(json.is_object(), "{command}: {json}");
        json
    }

    /// A JSON file of the temporary folder.
    pub fn read_json(&self, name: &str) -> Value {
        read_json(&self.path(name))
    }

    #[allow(dead_code)] // not every suite scores
    /// The perplexity of checkpoint `model` on the tokens of the fixture.
    pub fn perplexity(&self, model: &str) -> f64 {
        let scored = self.json(&format!("eval ppl {model} --tokens MODEL/expected.safetensors"));
        scored["perplexity"].as_f64().unwrap()
    }
}

/// What a command said on stderr.
pub fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub fn read_json(path: &Path) -> Value {
    let text = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_slice(&text).unwrap()
}

/// The header of a safetensors file.
pub fn header(path: &Path) -> Metadata {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    SafeTensors::read_metadata(&bytes).unwrap().1
}

/// The tensors of all weight files in `directory`, with the file each is in.
pub fn tensors(directory: &Path) -> Vec<(String, TensorInfo, String)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        if file.starts_with("model") && file.ends_with(".safetensors") {
            let header = header(&directory.join(&file));
            let tensors = header.tensors().into_iter();
            all.extend(tensors.map(|(name, info)| (name, info.clone(), file.clone())));
        }
    }
    assert!(!all.is_empty(), "no weights in {}", directory.display());
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

#[allow(dead_code)] // not every suite counts
/// Bytes of all tensors in `directory`.
pub fn bytes(directory: &Path) -> usize {
    tensors(directory).iter().map(|(_, info, _)| info.data_offsets.1 - info.data_offsets.0).sum()
}

#[allow(dead_code)] // not every suite counts
/// Elements of all tensors in `directory`.
pub fn elements(directory: &Path) -> usize {
    tensors(directory).iter().map(|(_, info, _)| info.shape.iter().product::<usize>()).sum()
}
