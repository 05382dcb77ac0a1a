//! [`Adapter::write`]: the directory of an adapter, as PEFT reads it.

use std::path::Path;

use slicegpt_checkpoint::{Dtype, Staging, Writer};

use crate::adapter::Adapter;
use crate::error::{AdapterError, Result};
use crate::factors::transposed;
use crate::names::{PREFIX, whole};
use crate::read::CONFIG;

/// The name of the file of weights.
const WEIGHTS: &str = "adapter_model.safetensors";

impl Adapter {
    /// Writes the adapter into the directory `out`, which appears only when it is complete and must
    /// not lie in `base`, the directory of the model. `PeftModel.from_pretrained` reads it. With
    /// `force`, an adapter or a checkpoint in `out` is replaced.
    ///
    /// # Errors
    ///
    /// If the output exists and may not be replaced, or cannot be written; or if the values cannot
    /// be read.
    pub fn write(&self, out: &Path, base: Option<&Path>, force: bool) -> Result<()> {
        let staging = Staging::new(out, base, force)?;
        self.write_files(staging.path())?;
        Ok(staging.commit()?)
    }

    /// Writes the files of the adapter into `directory`, which is there, as it is. For programs
    /// that write other files with it, and put all of them in place at once.
    ///
    /// # Errors
    ///
    /// If a file is there already or cannot be written, or the values cannot be read.
    pub fn write_files(&self, directory: &Path) -> Result<()> {
        let mut tensors = Vec::new();
        for (module, pair) in self.pairs() {
            let [a, b] = names(module, pair.embedding);
            let shapes = if pair.embedding {
                [[pair.rank, pair.outputs], [pair.inputs, pair.rank]]
            } else {
                [[pair.rank, pair.inputs], [pair.outputs, pair.rank]]
            };
            tensors.extend([(a, shapes[0].to_vec()), (b, shapes[1].to_vec())]);
        }
        let tensor_names: Vec<(&str, String)> =
            self.whole().map(|(name, _)| (name, whole(name, self.wraps(name)))).collect();
        tensors.extend(
            tensor_names
                .iter()
                .zip(self.whole())
                .map(|((_, stored), (_, shape))| (stored.clone(), shape.to_vec())),
        );
        let mut writer = Writer::create(directory, tensors, Dtype::F32, u64::MAX)?;
        for (module, pair) in self.pairs() {
            let Some(factors) = self.factors(module)? else { continue };
            let [a, b] = names(module, pair.embedding);
            if pair.embedding {
                writer.write(&a, &transposed(&factors.b, pair.outputs))?;
                writer.write(&b, &transposed(&factors.a, pair.rank))?;
            } else {
                writer.write(&a, &factors.a)?;
                writer.write(&b, &factors.b)?;
            }
        }
        for (name, stored) in &tensor_names {
            if let Some(values) = self.replacement(name)? {
                writer.write(stored, &values)?;
            }
        }
        let written = writer.finish()?;
        for file in &written.files {
            let (from, to) = (directory.join(file), directory.join(WEIGHTS));
            std::fs::rename(&from, &to).map_err(AdapterError::io(to))?;
        }
        let path = directory.join(CONFIG);
        let text = serde_json::to_string_pretty(&self.config.to_json()).map_err(|error| {
            AdapterError::Config { path: path.clone(), reason: error.to_string() }
        })?;
        std::fs::write(&path, text + "\n").map_err(AdapterError::io(path))
    }

    /// Whether PEFT wraps the module of tensor `name`.
    fn wraps(&self, name: &str) -> bool {
        name.rsplit_once('.').is_some_and(|(module, _)| self.pairs.contains_key(module))
    }
}

/// The names of the matrices A and B of a module.
fn names(module: &str, embedding: bool) -> [String; 2] {
    let end = |letter: &str| {
        if embedding {
            format!("{PREFIX}{module}.lora_embedding_{letter}")
        } else {
            format!("{PREFIX}{module}.lora_{letter}.weight")
        }
    };
    [end("A"), end("B")]
}
