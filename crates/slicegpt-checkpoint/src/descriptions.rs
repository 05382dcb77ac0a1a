//! The files that describe a checkpoint: config, manifest, index. They are read within bounds.

use std::path::{Path, PathBuf};

use serde_json::Value;
use slicegpt_provenance::{Manifest, ProvenanceError};

use crate::error::{CheckpointError, Result};
use crate::leftovers::is_interrupted;

/// Bytes of a JSON file of the checkpoint that are read, except of an index of shards. The largest
/// known have a tenth of it.
pub(crate) const MAX_JSON: u64 = 4 << 20;

/// Bytes of an index of shards that are read. The largest known, of 140 000 tensors, have half of
/// it.
pub(crate) const MAX_INDEX: u64 = 32 << 20;

/// Bytes of a record that are read. It holds numbers about every layer.
pub(crate) const MAX_RECORD: u64 = slicegpt_limits::MAX_DESCRIPTION;

/// Whether anything has this name. What is not a regular file is refused when it is read.
pub(crate) fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

pub(crate) fn read_text(path: &Path, most: u64) -> Result<String> {
    slicegpt_limits::read_text(path, most).map_err(CheckpointError::io(path))
}

pub(crate) fn read_json(path: &Path) -> Result<Value> {
    parse(path, &read_text(path, MAX_JSON)?)
}

pub(crate) fn parse<T: serde::de::DeserializeOwned>(path: &Path, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| CheckpointError::Json {
        path: path.into(),
        reason: if error.is_data() {
            format!("`weight_map` holds no file names by tensor: {error}")
        } else {
            format!("not valid JSON: {error}")
        },
    })
}

pub(crate) fn read_config(directory: &Path) -> Result<Value> {
    if !directory.is_dir() {
        return Err(CheckpointError::NoDirectory(directory.into()));
    }
    let path = directory.join("config.json");
    if !is_there(&path) {
        return Err(if is_interrupted(directory) {
            CheckpointError::Interrupted(directory.into())
        } else {
            CheckpointError::NoConfig(directory.into())
        });
    }
    read_json(&path)
}

pub(crate) fn read_manifest(directory: &Path, config: &Value) -> Result<Option<Manifest>> {
    let malformed = |path: PathBuf| {
        move |error: ProvenanceError| CheckpointError::Manifest { path, reason: error.to_string() }
    };
    if let Some(section) = config.get("slicegpt") {
        let manifest =
            Manifest::parse(section).map_err(malformed(directory.join("config.json")))?;
        return Ok(Some(manifest));
    }
    let path = directory.join(Manifest::FILE);
    if !is_there(&path) {
        return Ok(None);
    }
    let text = read_text(&path, MAX_JSON)?;
    let section = serde_json::from_str::<Value>(&text).map_err(ProvenanceError::from);
    let manifest = section.and_then(|section| Manifest::parse(&section));
    manifest.map(Some).map_err(malformed(path))
}
