//! [`Manifest`]: what a sliced checkpoint is and how it was made. It is the `slicegpt` section of
//! `config.json`, or a separate file where any tool can load the checkpoint.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::of_format;
use crate::{Method, Orientation, ProvenanceError, Refit};

/// How a checkpoint was made, and what is needed to load it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this section. Readers refuse a newer one.
    pub format: u32,
    /// How the directions to keep were chosen.
    pub method: Method,
    /// Whether `config.json` alone describes the model as one of its family. The manifest is then
    /// provenance only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stock: bool,
    /// Width of the stream at every cut: embedding output, then the output of every sublayer.
    pub widths: Vec<usize>,
    /// Width of the hidden layer of all MLPs; absent where the method cannot change it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intermediate_size: Option<usize>,
    /// Width of the hidden layer of the MLP of each block, where they differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intermediate_sizes: Option<Vec<usize>>,
    /// The layers of the dense model that were removed, ascending; absent where all stayed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed_layers: Vec<usize>,
    /// Key and value heads; absent where all stayed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kv_heads: Option<usize>,
    /// How weights were refitted after the cut; absent where they were not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refit: Option<Refit>,
    /// The splits that were tried for the target size, the best first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tried: Vec<TriedSplit>,
    /// The file of the reference implementation that it was imported from; absent where this tool
    /// cut the model. Such a file does not say how it was calibrated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported: Option<String>,
    /// The fraction of the stream asked to be cut; absent where a plan file gave the widths.
    pub nominal_sparsity: Option<f64>,
    /// `1 - params_after / params_before`; negative where the model grew.
    pub real_reduction: f64,
    /// Parameters of the dense checkpoint. A tied head counts once.
    pub params_before: u64,
    /// Parameters of this checkpoint.
    pub params_after: u64,
    /// The axes inside the kept subspace.
    pub orientation: Orientation,
    /// Seed of the random generator.
    pub seed: u64,
    /// The text that the directions were found with.
    pub calibration: CalibrationRecord,
    /// `slicegpt` and its version.
    pub tool_version: String,
}

/// A split of the size over the axes of the model, and its loss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TriedSplit {
    /// The number of layers; absent where only stream and MLPs were cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layers: Option<usize>,
    /// The layers of the dense model that were removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed_layers: Vec<usize>,
    /// Key and value heads; absent where they were not an axis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kv_heads: Option<usize>,
    /// Calibration tokens of the measurement, fitted and held out; absent in older files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<usize>,
    /// Width of the stream.
    pub hidden_size: usize,
    /// Width of the hidden layer of the MLPs.
    pub intermediate_size: usize,
    /// Mean KL divergence from the dense model on held-out calibration text, in nats per token.
    pub kl: f64,
}

impl TriedSplit {
    /// The number of layers and which ones are removed, for tables: `28 (without 13 14)`. `None`
    /// where layers were not an axis.
    pub fn layers_in_words(&self) -> Option<String> {
        let removed: Vec<String> = self.removed_layers.iter().map(usize::to_string).collect();
        self.layers.map(|layers| match removed.as_slice() {
            [] => layers.to_string(),
            some => format!("{layers} (without {})", some.join(" ")),
        })
    }
}

/// The text that a model was calibrated on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CalibrationRecord {
    /// Name of the file, `self`, `self:chat`, `bundled` or `unknown`; of several texts their names
    /// with their shares.
    pub source: String,
    /// SHA-256 of the token ids and masks.
    pub digest: String,
    /// Number of sequences.
    pub samples: usize,
    /// Tokens per sequence.
    pub seqlen: usize,
    /// Tokens that were not masked.
    pub tokens: u64,
    /// The texts, if there were several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub texts: Vec<TextRecord>,
}

/// One of several texts that a model was calibrated on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TextRecord {
    /// Name of the file, `self`, `self:chat` or `bundled`.
    pub source: String,
    /// The part of the samples that was asked for; the shares of all texts add up to 1.
    pub share: f64,
    /// Number of sequences.
    pub samples: usize,
    /// SHA-256 of the token ids and masks of these sequences.
    pub digest: String,
}

impl Manifest {
    /// The version this code writes.
    pub const FORMAT: u32 = 1;

    /// Name of the file that holds it where `config.json` has no section.
    pub const FILE: &str = "slicegpt.json";

    /// Reads the section.
    ///
    /// # Errors
    ///
    /// If another version wrote it, or a field is missing or has the wrong type.
    pub fn parse(section: &Value) -> Result<Self, ProvenanceError> {
        of_format(section, Self::FORMAT)
    }

    /// The section as JSON.
    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).expect("every key is a string")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_written_as_it_was_read() {
        for (method, refit, orientation) in [
            ("shared", "ridge:0.001", "pca"),
            ("per-layer", "ridge:1e-3", "random"),
            ("of a later version", "of a later version", "of a later version"),
        ] {
            let text = format!(
                r#"{{"format":1,"method":"{method}","widths":[6,8],"refit":"{refit}",
                "nominal_sparsity":0.25,"real_reduction":0.1,"params_before":10,"params_after":9,
                "orientation":"{orientation}","seed":1,"calibration":{{"source":"x","digest":"y",
                "samples":1,"seqlen":2,"tokens":2}},"tool_version":"t"}}"#
            );
            let section: Value = serde_json::from_str(&text).unwrap();
            let manifest = Manifest::parse(&section).unwrap();
            assert_eq!(manifest.to_json().to_string(), section.to_string());
        }
    }

    #[test]
    fn what_is_no_manifest_is_refused() {
        for (text, says) in [
            ("{}", "`format` is missing"),
            (r#"{"format":2}"#, "update slicegpt"),
            (r#"{"format":1}"#, "missing field"),
            (r#"{"format":1,"method":7}"#, "expected a string"),
        ] {
            let error = Manifest::parse(&serde_json::from_str(text).unwrap()).unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
        }
    }
}
