//! The files beside the weights of a model that keeps its shapes and gets other weights.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use slicegpt_checkpoint::Dtype;
use slicegpt_models::portable;
use slicegpt_provenance::Manifest;

use crate::services::model::Opened;

/// Writes what describes `model` with weights of type `dtype` into `out`, `config.json` last: also
/// its manifest or, if it is not of its family any more, the code that transformers needs. `tied`
/// says whether embedding and head are one matrix.
pub fn describe(model: &Opened, tied: bool, dtype: Dtype, out: &Path) -> Result<()> {
    let write = |name: &str, text: &str| {
        let path = out.join(name);
        std::fs::write(&path, text).with_context(|| path.display().to_string())
    };
    let mut config = model.checkpoint.config().clone();
    match model.checkpoint.manifest() {
        Some(manifest) if !manifest.stock => {
            for (name, code) in portable::PYTHON {
                write(name, code)?;
            }
        }
        manifest => {
            if let Some(manifest) = manifest {
                let text = serde_json::to_string_pretty(&manifest.to_json())?;
                write(Manifest::FILE, &(text + "\n"))?;
            }
            // Python code of the model is not copied.
            if let Some(fields) = config.as_object_mut() {
                fields.remove("auto_map");
            }
        }
    }
    amend(&mut config, dtype, tied);
    write("config.json", &(serde_json::to_string_pretty(&config)? + "\n"))
}

/// Sets the type of the weights, and whether embedding and head are one matrix, where the config
/// says something else.
fn amend(config: &mut Value, dtype: Dtype, tied: bool) {
    let Some(fields) = config.as_object_mut() else { return };
    let field = if fields.contains_key("dtype") { "dtype" } else { "torch_dtype" };
    fields.insert(field.into(), json!(dtype.torch_name()));
    if fields.contains_key("torch_dtype") {
        fields.insert("torch_dtype".into(), json!(dtype.torch_name()));
    }
    // Families differ in the default.
    if !tied || fields.contains_key("tie_word_embeddings") {
        fields.insert("tie_word_embeddings".into(), json!(tied));
    }
}
