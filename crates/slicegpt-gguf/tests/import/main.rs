//! GGUF files that are read: values of blocks, tensors of checkpoints, rotary positions, parts, and
//! files that are damaged or hostile.

mod blocks;
mod hostile;
mod positions;
mod split;
mod tensors;
mod tokenizer;

use std::path::{Path, PathBuf};

use serde_json::Value;
use slicegpt_core::{TensorSource, Unobserved};
use slicegpt_gguf::{Export, FileType, Import, Vocabulary};
use slicegpt_models::DecoderSpec;
use slicegpt_testkit::{RawGguf, Tensors, fixtures};
use tempfile::TempDir;

/// A fixture of `families/` with its config and weights.
pub struct Fixture {
    /// What its config describes.
    pub spec: DecoderSpec,
    tensors: Tensors,
}

impl Fixture {
    /// `fixtures/families/{name}`.
    pub fn new(name: &str) -> Self {
        Self::edited(name, |_| {})
    }

    /// The fixture with a config after `edit`.
    pub fn edited(name: &str, edit: impl FnOnce(&mut Value)) -> Self {
        let directory = fixtures().join("families").join(name);
        let config = std::fs::read(directory.join("config.json")).unwrap();
        let mut config = serde_json::from_slice(&config).unwrap();
        edit(&mut config);
        let spec = slicegpt_models::parse(&config).unwrap();
        Self { spec, tensors: Tensors::read(&directory.join("model.safetensors")) }
    }
}

impl TensorSource for Fixture {
    type Error = std::io::Error;

    fn contains(&self, name: &str) -> bool {
        self.tensors.get(name).is_some()
    }

    fn tensor(&self, name: &str, _: &[usize]) -> std::io::Result<Vec<f32>> {
        Ok(self.tensors.values(name).iter().map(|x| *x as f32).collect())
    }

    fn rows(
        &self,
        name: &str,
        shape: [usize; 2],
        rows: std::ops::Range<usize>,
    ) -> std::io::Result<Vec<f32>> {
        Ok(self.tensor(name, &shape)?[rows.start * shape[1]..rows.end * shape[1]].to_vec())
    }

    fn gather(&self, _: &str, _: [usize; 2], _: &[u32]) -> std::io::Result<Vec<f32>> {
        unreachable!("small tensors are read whole")
    }
}

/// A file in a folder of its own.
pub struct Scratch {
    folder: TempDir,
    /// Its path.
    pub path: PathBuf,
}

impl Scratch {
    /// `model` exported in a type, without a tokenizer.
    pub fn export(model: &Fixture, file_type: FileType) -> Self {
        let scratch = Self::empty();
        let export = Export::new(&model.spec, file_type, "test", Vocabulary::default()).unwrap();
        export.write(&scratch.path, model, str::to_string, &Unobserved).unwrap();
        scratch
    }

    /// The file `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let scratch = Self::empty();
        std::fs::write(&scratch.path, bytes).unwrap();
        scratch
    }

    fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.gguf");
        Self { folder, path }
    }

    /// The folder it is in.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its parts.
    pub fn raw(&self) -> RawGguf {
        RawGguf::read(&self.path)
    }

    /// The error with which the file is refused.
    #[track_caller]
    pub fn refused(&self) -> String {
        match Import::open(&self.path) {
            Ok(_) => panic!("it was opened"),
            Err(error) => error.to_string(),
        }
    }
}
