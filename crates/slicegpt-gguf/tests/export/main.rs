//! GGUF files of decoders: names, rows, metadata, and refusals.

mod positions;
mod refused;
mod tensors;
mod tokenizer;

use std::collections::HashMap;
use std::ops::Range;

use serde_json::Value;
use slicegpt_core::{TensorSource, Unobserved};
use slicegpt_gguf::{Export, FileType, GgufError, Vocabulary};
use slicegpt_models::DecoderSpec;
use slicegpt_testkit::{Gguf, fixtures};

/// The config of a fixture after `edit`.
pub fn config(name: &str, edit: impl FnOnce(&mut Value)) -> Value {
    let path = fixtures().join("families").join(name).join("config.json");
    let mut config = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    edit(&mut config);
    config
}

/// The decoder of a fixture.
pub fn spec(name: &str) -> DecoderSpec {
    slicegpt_models::parse(&config(name, |_| {})).unwrap()
}

/// Plans the file of a decoder without a tokenizer, in float32.
pub fn plan(spec: &DecoderSpec) -> Result<Export, GgufError> {
    Export::new(spec, FileType::F32, "test", Vocabulary::default())
}

/// A source in which every value is the number of its row plus a fraction that identifies the
/// tensor.
pub struct Numbered(HashMap<String, f32>);

impl Numbered {
    /// Values for all tensors of `spec`.
    pub fn of(spec: &DecoderSpec) -> Self {
        let names = spec.entries().into_iter().map(|entry| entry.name);
        Self(names.zip((1..).map(|i| i as f32 / 256.0)).collect())
    }

    /// The values of row `row` of tensor `name`.
    pub fn value(&self, name: &str, row: usize) -> f32 {
        row as f32 + self.0[name]
    }
}

impl TensorSource for Numbered {
    type Error = std::io::Error;

    fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Self::Error> {
        let columns = shape[1..].iter().product();
        Ok((0..shape[0]).flat_map(|row| vec![self.value(name, row); columns]).collect())
    }

    fn rows(&self, _: &str, _: [usize; 2], _: Range<usize>) -> Result<Vec<f32>, Self::Error> {
        unreachable!("small tensors are read whole")
    }

    fn gather(&self, _: &str, _: [usize; 2], _: &[u32]) -> Result<Vec<f32>, Self::Error> {
        unreachable!("small tensors are read whole")
    }
}

/// Writes the decoder with [`Numbered`] values and reads it back.
pub fn written(spec: &DecoderSpec) -> (Gguf, Numbered) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("model.gguf");
    let source = Numbered::of(spec);
    let export = plan(spec).unwrap();
    export.write(&path, &source, str::to_string, &Unobserved).unwrap();
    (Gguf::read(&path), source)
}
