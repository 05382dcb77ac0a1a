//! [`Manifest`]: the `slicegpt` section of `config.json`, with which a sliced checkpoint says
//! everything about itself.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How a checkpoint was made, and what is needed to load it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this section. Readers refuse a newer one.
    pub format: u32,
    /// `per-layer`: one basis per cut, with shortcut matrices (the paper).
    pub method: String,
    /// Width of the stream at every cut: embedding output, then the output of every sublayer.
    pub widths: Vec<usize>,
    /// The fraction of the stream asked to be cut; absent where a plan file gave the widths.
    pub nominal_sparsity: Option<f64>,
    /// `1 - params_after / params_before`; negative where the model grew.
    pub real_reduction: f64,
    /// Parameters of the checkpoint as given, a tied head once.
    pub params_before: u64,
    /// Parameters of this checkpoint.
    pub params_after: u64,
    /// `pca` or `random`: how the kept subspace is oriented.
    pub orientation: String,
    /// Of the random generator.
    pub seed: u64,
    /// What the directions were found with.
    pub calibration: Calibration,
    /// `slicegpt` and its version.
    pub tool_version: String,
}

/// What the directions were found with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Name of the file, `self` or `bundled`.
    pub source: String,
    /// SHA-256 of the token ids and masks.
    pub digest: String,
    /// Sequences.
    pub samples: usize,
    /// Tokens per sequence.
    pub seqlen: usize,
    /// Tokens that counted.
    pub tokens: u64,
}

impl Manifest {
    /// The version this code writes.
    pub const FORMAT: u32 = 1;

    /// Reads the section, refusing versions this code does not know.
    pub(crate) fn read(section: &Value) -> Result<Self, String> {
        match section.get("format").and_then(Value::as_u64) {
            Some(format) if format == u64::from(Self::FORMAT) => {
                Self::deserialize(section).map_err(|error| error.to_string())
            }
            Some(format) => Err(format!(
                "format {format} is not known to this version (it knows {}); update slicegpt",
                Self::FORMAT
            )),
            None => Err("`format` is missing".into()),
        }
    }

    /// The section as JSON.
    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).expect("numbers and strings only")
    }
}
