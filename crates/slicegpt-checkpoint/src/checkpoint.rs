//! [`Checkpoint`]: a checkpoint directory, indexed by tensor name.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde_json::Value;
use slicegpt_core::TensorSource;
use slicegpt_provenance::{Manifest, Record};

use crate::Dtype;
use crate::descriptions::{
    MAX_INDEX, MAX_JSON, MAX_RECORD, is_there, parse, read_config, read_json, read_manifest,
    read_text,
};
use crate::error::{CheckpointError, Result};
use crate::foreign::{Foreign, ForeignSource, ForeignTensor};
use crate::shard::Shard;

/// A Hugging Face checkpoint directory. Its weights stay on disk until they are read.
pub struct Checkpoint {
    directory: PathBuf,
    config: Value,
    manifest: Option<Manifest>,
    weights: Weights,
    /// Index of the shard that holds a tensor, or of the tensor of a foreign source.
    index: BTreeMap<String, usize>,
}

enum Weights {
    Shards(Vec<Shard>),
    Foreign(Foreign),
}

/// Where a tensor is.
enum Place<'a> {
    Shard(&'a Shard),
    Foreign(&'a ForeignTensor, &'a ForeignSource),
}

impl Checkpoint {
    /// Opens `directory`: reads `config.json` and the headers of its weights, but no weights.
    ///
    /// # Errors
    ///
    /// If the directory, its config or its weights are missing, a shard is missing, or a header
    /// does not describe its file.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self> {
        let directory = directory.into();
        let (config, manifest) = Self::describe(&directory)?;
        Self::open_described(directory, config, manifest)
    }

    /// [`Checkpoint::open`] with the result of [`Checkpoint::describe`] for the same directory, so
    /// that `config.json` is not read again.
    ///
    /// # Errors
    ///
    /// If the weights are missing, a shard is missing, or a header does not describe its file.
    pub fn open_described(
        directory: impl Into<PathBuf>,
        config: Value,
        manifest: Option<Manifest>,
    ) -> Result<Self> {
        let directory = directory.into();
        let (shards, index) = open_weights(&directory)?;
        Ok(Self { directory, config, manifest, weights: Weights::Shards(shards), index })
    }

    /// Opens the single file `weights`. `config` is the `config.json` of another directory, and
    /// describes the model except its widths.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, has an unknown format, or would run code.
    pub fn from_file(config: Value, weights: &Path) -> Result<Self> {
        let shard = Shard::open(weights)?;
        let index = shard.names().map(|name| (name.to_string(), 0)).collect();
        let directory = weights.to_path_buf();
        let weights = Weights::Shards(vec![shard]);
        Ok(Self { directory, config, manifest: None, weights, index })
    }

    /// The checkpoint with the weights of `source`, which reads `files` files. `directory` holds
    /// everything else, and `config` is its `config.json`.
    pub fn from_source(
        directory: impl Into<PathBuf>,
        config: Value,
        tensors: Vec<ForeignTensor>,
        source: Box<ForeignSource>,
        files: usize,
    ) -> Self {
        let names = tensors.iter().enumerate();
        let index = names.map(|(number, tensor)| (tensor.name.clone(), number)).collect();
        let weights = Weights::Foreign(Foreign { tensors, source, files });
        Self { directory: directory.into(), config, manifest: None, weights, index }
    }

    /// Reads `config.json` of `directory` and its manifest, if this tool wrote it. Opens nothing
    /// else.
    ///
    /// # Errors
    ///
    /// If the directory or its config is missing or malformed.
    pub fn describe(directory: &Path) -> Result<(Value, Option<Manifest>)> {
        let config = read_config(directory)?;
        let manifest = read_manifest(directory, &config)?;
        Ok((config, manifest))
    }

    /// Reads the record of the compression that wrote `directory`, if there is one.
    ///
    /// # Errors
    ///
    /// If the record cannot be read, or another version wrote it.
    pub fn record(directory: &Path) -> Result<Option<Record>> {
        let path = directory.join(Record::FILE);
        let text = match slicegpt_limits::read(&path, MAX_RECORD) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(CheckpointError::io(&path)(error)),
        };
        Record::parse(&text)
            .map(Some)
            .map_err(|error| CheckpointError::Record { path, reason: error.to_string() })
    }

    /// The directory, or the file of [`Checkpoint::from_file`].
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The contents of `config.json`.
    pub fn config(&self) -> &Value {
        &self.config
    }

    /// Reads `generation_config.json`, if there is one.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub fn generation_config(&self) -> Result<Option<Value>> {
        let path = self.directory.join("generation_config.json");
        if is_there(&path) { read_json(&path).map(Some) } else { Ok(None) }
    }

    /// The manifest, if this tool wrote the checkpoint.
    pub fn manifest(&self) -> Option<&Manifest> {
        self.manifest.as_ref()
    }

    /// The names of all tensors.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.index.keys().map(String::as_str)
    }

    /// The shape of tensor `name`, if the checkpoint has it.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        match self.place(name).ok()? {
            Place::Shard(shard) => shard.shape(name),
            Place::Foreign(tensor, _) => Some(&tensor.shape),
        }
    }

    /// The number of files that hold weights.
    pub fn shards(&self) -> usize {
        match &self.weights {
            Weights::Shards(shards) => shards.len(),
            Weights::Foreign(foreign) => foreign.files,
        }
    }

    /// Checks that tensor `name` exists and has `shape` and a supported type, and returns the type.
    ///
    /// # Errors
    ///
    /// If it does not.
    pub fn check(&self, name: &str, shape: &[usize]) -> Result<Dtype> {
        match self.place(name)? {
            Place::Shard(shard) => shard.check(name, shape),
            Place::Foreign(tensor, _) if tensor.shape == shape => Ok(tensor.dtype),
            Place::Foreign(tensor, _) => Err(CheckpointError::Shape {
                path: self.directory.clone(),
                name: name.into(),
                found: tensor.shape.clone(),
                expected: shape.to_vec(),
            }),
        }
    }

    /// Bytes that the tensors of a foreign source are stored in; `None` if the weights are those of
    /// a Hugging Face checkpoint.
    pub fn foreign_bytes(&self) -> Option<u64> {
        match &self.weights {
            Weights::Shards(_) => None,
            Weights::Foreign(foreign) => {
                Some(foreign.tensors.iter().map(|tensor| tensor.bytes).sum())
            }
        }
    }

    fn place(&self, name: &str) -> Result<Place<'_>> {
        match (self.index.get(name), &self.weights) {
            (Some(shard), Weights::Shards(shards)) => Ok(Place::Shard(&shards[*shard])),
            (Some(number), Weights::Foreign(foreign)) => {
                Ok(Place::Foreign(&foreign.tensors[*number], &*foreign.source))
            }
            (None, _) => Err(CheckpointError::MissingTensor {
                path: self.directory.clone(),
                name: name.into(),
            }),
        }
    }
}

impl TensorSource for Checkpoint {
    type Error = CheckpointError;

    fn contains(&self, name: &str) -> bool {
        self.index.contains_key(name)
    }

    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        match self.place(name)? {
            Place::Shard(shard) => {
                let whole = (0, shape.iter().product());
                shard.read(name, shape, [whole].into_iter())
            }
            Place::Foreign(tensor, source) => tensor.rounded(source.tensor(name, shape)?),
        }
    }

    fn rows(&self, name: &str, shape: [usize; 2], rows: Range<usize>) -> Result<Vec<f32>> {
        match self.place(name)? {
            Place::Shard(shard) => {
                let span = (rows.start * shape[1], rows.len() * shape[1]);
                shard.read(name, &shape, [span].into_iter())
            }
            Place::Foreign(tensor, source) => tensor.rounded(source.rows(name, shape, rows)?),
        }
    }

    fn gather(&self, name: &str, shape: [usize; 2], indices: &[u32]) -> Result<Vec<f32>> {
        match self.place(name)? {
            Place::Shard(shard) => {
                let width = shape[1];
                let spans = indices.iter().map(|index| (*index as usize * width, width));
                shard.read(name, &shape, spans)
            }
            Place::Foreign(tensor, source) => tensor.rounded(source.gather(name, shape, indices)?),
        }
    }

    fn will_read(&self, name: &str) {
        match self.place(name) {
            Ok(Place::Shard(shard)) => shard.will_read(name),
            Ok(Place::Foreign(_, source)) => source.will_read(name),
            Err(_) => {}
        }
    }
}

/// An index of shards. What else it holds is not kept.
#[derive(serde::Deserialize)]
struct Index {
    /// File names by tensor.
    weight_map: BTreeMap<String, String>,
}

/// Opens the weights in the format that transformers prefers among those present.
fn open_weights(directory: &Path) -> Result<(Vec<Shard>, BTreeMap<String, usize>)> {
    for (single, sharded) in [
        ("model.safetensors", "model.safetensors.index.json"),
        ("pytorch_model.bin", "pytorch_model.bin.index.json"),
    ] {
        let path = directory.join(single);
        if is_there(&path) {
            let shard = Shard::open(&path)?;
            let index = shard.names().map(|name| (name.to_string(), 0)).collect();
            return Ok((vec![shard], index));
        }
        let path = directory.join(sharded);
        if is_there(&path) {
            return open_sharded(directory, &path);
        }
    }
    let adapter = directory.join("adapter_config.json");
    if adapter.is_file() {
        let config = slicegpt_limits::read(&adapter, MAX_JSON).unwrap_or_default();
        let config: Value = serde_json::from_slice(&config).unwrap_or_default();
        let base = config["base_model_name_or_path"].as_str().map(str::to_string);
        return Err(CheckpointError::Adapter { directory: directory.into(), base });
    }
    Err(CheckpointError::NoWeights(directory.into()))
}

fn open_sharded(directory: &Path, path: &Path) -> Result<(Vec<Shard>, BTreeMap<String, usize>)> {
    let malformed = |reason: String| CheckpointError::Json { path: path.into(), reason };
    let text = read_text(path, MAX_INDEX)?;
    let Index { weight_map: map } = match parse::<Option<Index>>(path, &text)? {
        Some(index) => index,
        None => return Err(malformed("`weight_map` is missing".into())),
    };
    let mut files = BTreeSet::new();
    for file in map.values() {
        // A name, not a path: an index must not reach outside its directory.
        if Path::new(file).file_name() != Some(file.as_ref()) {
            return Err(malformed(format!("shard `{file}` is not a file name")));
        }
        if !is_there(&directory.join(file)) {
            let shard = file.clone();
            return Err(CheckpointError::MissingShard { index: path.into(), shard });
        }
        files.insert(file.as_str());
    }
    let files: Vec<&str> = files.into_iter().collect();
    let shards =
        files.iter().map(|file| Shard::open(&directory.join(file))).collect::<Result<Vec<_>>>()?;
    let mut index = BTreeMap::new();
    for (name, file) in &map {
        let shard = files.binary_search(&file.as_str());
        let shard = shard.expect("every file of the map is in the list");
        if !shards[shard].contains(name) {
            let path = shards[shard].path.clone();
            return Err(CheckpointError::MissingTensor { path, name: name.clone() });
        }
        index.insert(name.clone(), shard);
    }
    Ok((shards, index))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_cannot_be_read_is_refused_by_file() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(Checkpoint::record(directory.path()).unwrap(), None);
        std::fs::write(directory.path().join(Record::FILE), "{}").unwrap();
        let error = Checkpoint::record(directory.path()).unwrap_err().to_string();
        assert!(error.contains("slicegpt-report.json: `format` is missing"), "{error}");
    }
}
