//! [`Manifest`]: with what a sliced checkpoint says everything about itself. It is the `slicegpt`
//! section of `config.json`, or a file of its own where the checkpoint is one that any tool can read.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How a checkpoint was made, and what is needed to load it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this section. Readers refuse a newer one.
    pub format: u32,
    /// `per-layer`: one basis per cut, with shortcut matrices (the paper). `shared`: one basis.
    pub method: String,
    /// Whether `config.json` describes the whole model as one of its family, and this is provenance
    /// only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stock: bool,
    /// Width of the stream at every cut: embedding output, then the output of every sublayer.
    pub widths: Vec<usize>,
    /// Width of the hidden layer of the MLPs; absent where nothing could change it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intermediate_size: Option<usize>,
    /// Width of the hidden layer of the MLP of each block, where they differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intermediate_sizes: Option<Vec<usize>>,
    /// How weights were refitted after the cut, as it is typed; absent where they were not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refit: Option<String>,
    /// The splits of the size that were tried before one was chosen, the best first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tried: Vec<TriedSplit>,
    /// The file it was imported from, written by the reference implementation, which does not say how it was
    /// calibrated; absent where this tool made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported: Option<String>,
    /// The fraction of the stream asked to be cut; absent where a plan file gave the widths.
    pub nominal_sparsity: Option<f64>,
    /// `1 - params_after / params_before`; negative where the model grew.
    pub real_reduction: f64,
    /// Parameters of the checkpoint as given, a tied head once.
    pub params_before: u64,
    /// Parameters of this checkpoint.
    pub params_after: u64,
    /// `pca`, `random` or, where that is not known, `unknown`: how the kept subspace is oriented.
    pub orientation: String,
    /// Of the random generator.
    pub seed: u64,
    /// What the directions were found with.
    pub calibration: Calibration,
    /// `slicegpt` and its version.
    pub tool_version: String,
}

/// A split of the size between the stream and the MLPs, and what it gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TriedSplit {
    /// Width of the stream.
    pub hidden_size: usize,
    /// Width of the hidden layer of the MLPs.
    pub intermediate_size: usize,
    /// Mean KL divergence from the dense model on held-out calibration text, in nats per token.
    pub kl: f64,
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

    /// The file it is, where `config.json` has no section.
    pub const FILE: &str = "slicegpt.json";

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
