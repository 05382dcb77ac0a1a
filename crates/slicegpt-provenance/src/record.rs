//! [`Record`]: what a compression measured, in a separate file of the checkpoint that no loader
//! reads.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::of_format;
use crate::{EvaluationRecord, ProvenanceError, SpectrumRecord, Stage, Summation};

/// What a compression measured, and the machine it ran on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Version of this file. Readers refuse a newer one.
    pub format: u32,
    /// `slicegpt` and its version.
    pub tool_version: String,
    /// The words of the command line, the program first.
    pub command: Vec<String>,
    /// The model that was cut.
    pub dense: Dense,
    /// Bytes of the tensors that were written.
    pub bytes: u64,
    /// The machine it ran on.
    pub machine: Machine,
    /// Seconds that the compression took, without scoring.
    pub seconds: f64,
    /// Seconds by kind of work. The rest of `seconds` is reading, writing, embedding and head.
    pub stages: Vec<(Stage, f64)>,
    /// Largest resident set size during the compression, in bytes, where the system reports it.
    pub peak_rss_bytes: Option<u64>,
    /// Memory reserved on the device at the end, in bytes, where the device reports it.
    pub device_memory_bytes: Option<u64>,
    /// Comparisons with the dense model, one for each text that was given. Files of earlier
    /// versions have none.
    #[serde(default)]
    pub evaluations: Vec<EvaluationRecord>,
    /// Perplexity before and after, in files of earlier versions only; see
    /// [`Record::perplexities`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub perplexity: Option<PerplexityRecord>,
    /// One spectrum per cut, in order (the last may be missing where nothing is cut there), or a
    /// single one where the model has one basis.
    pub spectra: Vec<SpectrumRecord>,
}

/// A model before it was cut.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dense {
    /// Its name.
    pub name: String,
    /// Width of the stream.
    pub hidden_size: usize,
    /// Width of the hidden layer of the MLPs.
    pub intermediate_size: usize,
    /// Number of blocks.
    pub layers: usize,
    /// Sublayers per block.
    pub depth: usize,
    /// Bytes of its tensors.
    pub bytes: u64,
}

/// The machine and the settings that a compression ran with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// Name of the CPU.
    pub processor: String,
    /// Threads available to the process.
    pub cores: usize,
    /// Memory of the host, in bytes.
    pub memory_bytes: u64,
    /// Name and version of the operating system.
    pub system: String,
    /// Name of the device that held the tensors.
    pub device: String,
    /// Model of that device.
    pub device_model: String,
    /// Sequences per batch.
    pub batch_size: usize,
    /// The type the model was run in.
    pub compute_dtype: String,
    /// The arithmetic that covariances were summed in.
    pub covariance: Summation,
}

/// Perplexity before and after.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PerplexityRecord {
    /// Name of the file.
    pub text: String,
    /// Perplexity of the dense model.
    pub before: f64,
    /// Perplexity of the sliced model; absent until it is known.
    pub after: Option<f64>,
    /// Labels scored.
    pub tokens: u64,
    /// Number of sequences.
    pub samples: usize,
    /// Tokens per sequence.
    pub seqlen: usize,
    /// How it was measured, for a reader.
    pub protocol: String,
}

impl Record {
    /// The version this code writes.
    pub const FORMAT: u32 = 1;

    /// Name of the file.
    pub const FILE: &str = "slicegpt-report.json";

    /// Perplexity before and after on each text, whichever version wrote the file.
    pub fn perplexities(&self) -> Vec<PerplexityRecord> {
        let of_text = |found: &EvaluationRecord| PerplexityRecord {
            text: found.text.clone(),
            before: found.perplexity_before,
            after: Some(found.perplexity_after),
            tokens: found.tokens,
            samples: found.samples,
            seqlen: found.seqlen,
            protocol: found.protocol.clone(),
        };
        self.perplexity.iter().cloned().chain(self.evaluations.iter().map(of_text)).collect()
    }

    /// Reads the text of the file.
    ///
    /// # Errors
    ///
    /// If it is not JSON, another version wrote it, or a field is missing or has the wrong type.
    pub fn parse(text: &[u8]) -> Result<Self, ProvenanceError> {
        of_format(&serde_json::from_slice::<Value>(text)?, Self::FORMAT)
    }

    /// The text of the file.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("every key is a string") + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_record_is_refused() {
        for (text, says) in [
            ("{", "line 1"),
            ("{}", "`format` is missing"),
            ("{\"format\": 2}", "update slicegpt"),
            ("{\"format\": 1}", "missing field"),
        ] {
            let error = Record::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
