//! The files of a checkpoint directory other than the weights.

use std::path::{Path, PathBuf};

use serde_json::Value;
use slicegpt_checkpoint::{Dtype, OutputError, copy_companions};
use slicegpt_models::{DecoderSpec, portable};
use slicegpt_provenance::Manifest;

use super::sliced_config;

/// Writes everything but the weights into `out`: the tokenizer, the licence and other files of the
/// `dense` directory, the manifest, and `config.json`, which is `config` with the fields that
/// slicing changes. If the model is not one of its family, also the Python code that transformers
/// needs to run it.
///
/// # Errors
///
/// If a file cannot be written.
pub fn finish_checkpoint(
    dense: &Path,
    out: &Path,
    config: &Value,
    sliced: &DecoderSpec,
    dtype: Dtype,
    manifest: &Manifest,
) -> Result<(), OutputError> {
    copy_companions(dense, out)?;
    let write = |name: &str, text: &str| {
        let path: PathBuf = out.join(name);
        std::fs::write(&path, text).map_err(|source| OutputError::Io { path, source })
    };
    let pretty =
        |json: &Value| serde_json::to_string_pretty(json).expect("every key is a string") + "\n";
    if manifest.stock {
        write(Manifest::FILE, &pretty(&manifest.to_json()))?;
    } else {
        for (name, code) in portable::PYTHON {
            write(name, code)?;
        }
    }
    write("config.json", &pretty(&sliced_config(config, sliced, dtype, manifest)))
}
