//! A complete checkpoint directory: what lies beside the weights.

use std::path::{Path, PathBuf};

use serde_json::Value;
use slicegpt_checkpoint::{Dtype, OutputError, copy_companions};
use slicegpt_models::{DecoderSpec, portable};
use slicegpt_provenance::Manifest;

use super::sliced_config;

/// Writes everything beside the weights into `out`: tokenizer, licence and other companions of the
/// `dense` directory, the Python code that transformers runs a model with that is not one of its
/// family, the manifest, and `config.json`, which is `config` with what slicing changed.
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
