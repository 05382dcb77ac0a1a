//! [`Record`]: what a compression measured on its way, in a file of its own beside the checkpoint. Nothing
//! that loads a model looks at it.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{CheckpointError, Result};

/// What a compression measured, and where.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Version of this file. Readers refuse a newer one.
    pub format: u32,
    /// `slicegpt` and its version.
    pub tool_version: String,
    /// The words of the command line, `slicegpt` first.
    pub command: Vec<String>,
    /// The model that was cut.
    pub dense: Dense,
    /// Bytes of the tensors that were written.
    pub bytes: u64,
    /// What it ran on.
    pub machine: Machine,
    /// How long the cutting took, scoring left out, in seconds.
    pub seconds: f64,
    /// Seconds by kind of work; the rest is reading, writing and rewriting the tables.
    pub stages: Vec<(String, f64)>,
    /// The largest resident set while cutting, in bytes, where the system says.
    pub peak_rss_bytes: Option<u64>,
    /// Memory of the device at the end, in bytes, where it says.
    pub device_memory_bytes: Option<u64>,
    /// Perplexity before and after, where a text to measure it on was given.
    pub perplexity: Option<PerplexityRecord>,
    /// One for each cut in their order (the last may be missing where nothing is cut there), or one in all
    /// where the model has one basis.
    pub spectra: Vec<SpectrumRecord>,
}

/// A model before it was cut.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dense {
    /// What it is called.
    pub name: String,
    /// Width of the stream.
    pub hidden_size: usize,
    /// Width of the hidden layer of the MLPs.
    pub intermediate_size: usize,
    /// Blocks.
    pub layers: usize,
    /// Sublayers of a block.
    pub depth: usize,
    /// Bytes of its tensors.
    pub bytes: u64,
}

/// What a compression ran on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// Name of the processor.
    pub processor: String,
    /// Threads it offers to this process.
    pub cores: usize,
    /// Memory, in bytes.
    pub memory_bytes: u64,
    /// Name and version of the operating system.
    pub system: String,
    /// Where tensors were, by the name that `--device` takes.
    pub device: String,
    /// What that is.
    pub device_model: String,
    /// Sequences run at a time.
    pub batch_size: usize,
    /// The type the model was run in.
    pub compute_dtype: String,
    /// What covariances were summed in.
    pub covariance: String,
}

/// Perplexity before and after.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PerplexityRecord {
    /// Name of the file.
    pub text: String,
    /// Of the dense model.
    pub before: f64,
    /// Of the cut one; absent until it is known.
    pub after: Option<f64>,
    /// Labels scored.
    pub tokens: u64,
    /// Sequences.
    pub samples: usize,
    /// Tokens per sequence.
    pub seqlen: usize,
    /// What the numbers mean.
    pub protocol: String,
}

/// The eigenvalues of one covariance, at some of its directions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpectrumRecord {
    /// Eigenvalues there are.
    pub width: usize,
    /// Directions that were kept.
    pub kept: usize,
    /// Tokens summed over.
    pub tokens: u64,
    /// The part of the energy, the sum of all eigenvalues, that all but the `kept` largest carry.
    pub lost: f64,
    /// A number of directions, the eigenvalue of the last of them over that of the first, and the part of the
    /// energy that the others carry. At most [`SpectrumRecord::POINTS`] of them.
    pub points: Vec<(usize, f32, f32)>,
}

impl SpectrumRecord {
    /// Points that are recorded, at most.
    pub const POINTS: usize = 65;

    /// Of `eigenvalues`, which are descending, and of which `kept` were kept.
    pub fn new(eigenvalues: &[f64], tokens: u64, kept: usize) -> Self {
        let width = eigenvalues.len();
        // Summed from the least, so that small parts are as exact as large ones. Rounding makes some of what
        // is nothing negative.
        let mut tails = vec![0.0; width + 1];
        for index in (0..width).rev() {
            tails[index] = tails[index + 1] + eigenvalues[index].max(0.0);
        }
        let part = |directions: usize| match tails[0] > 0.0 {
            true => tails[directions.min(width)] / tails[0],
            false => 0.0,
        };
        let largest = eigenvalues.first().copied().filter(|largest| *largest > 0.0);
        let relative = |index: usize| eigenvalues[index].max(0.0) / largest.unwrap_or(1.0);
        let points = some(width, kept)
            .into_iter()
            .map(|count| (count, relative(count - 1) as f32, part(count) as f32))
            .collect();
        Self { width, kept, tokens, lost: part(kept), points }
    }
}

/// Numbers of directions, from 1 to `width`, `kept` among them: half of them at equal steps, half in equal
/// ratios.
fn some(width: usize, kept: usize) -> std::collections::BTreeSet<usize> {
    if width < SpectrumRecord::POINTS {
        return (1..=width).collect();
    }
    let half = (SpectrumRecord::POINTS - 1) / 2;
    let steps = (1..=half).map(|step| width * step / half);
    let ratio = |step: usize| (width as f64).powf(step as f64 / half as f64).round() as usize;
    let ratios = (0..half).map(ratio);
    steps.chain(ratios).chain([kept]).filter(|count| (1..=width).contains(count)).collect()
}

impl Record {
    /// The version this code writes.
    pub const FORMAT: u32 = 1;

    /// What the file is called.
    pub const FILE: &str = "slicegpt-report.json";

    /// Reads that of checkpoint `directory`; nothing where there is none.
    ///
    /// # Errors
    ///
    /// If there is one that cannot be read, or that this version does not know.
    pub fn read(directory: &Path) -> Result<Option<Self>> {
        let path = directory.join(Self::FILE);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(CheckpointError::io(&path)(error)),
        };
        let wrong = |reason: String| CheckpointError::Record { path: path.clone(), reason };
        let value: Value =
            serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
        match value.get("format").and_then(Value::as_u64) {
            Some(format) if format == u64::from(Self::FORMAT) => {
                Self::deserialize(&value).map(Some).map_err(|error| wrong(error.to_string()))
            }
            Some(format) => Err(wrong(format!(
                "format {format} is not known to this version (it knows {}); update slicegpt",
                Self::FORMAT
            ))),
            None => Err(wrong("`format` is missing".into())),
        }
    }

    /// The file's text.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("numbers and strings only") + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spectrum_is_told_at_a_bounded_number_of_points() {
        let eigenvalues: Vec<f64> = (0..1000).map(|i| 0.5_f64.powi(i)).collect();
        let record = SpectrumRecord::new(&eigenvalues, 7, 30);
        assert!(record.points.len() <= SpectrumRecord::POINTS);
        assert_eq!((record.points[0].0, record.points.last().unwrap().0), (1, 1000));
        // What a geometric series leaves behind is known, however little.
        assert!((record.lost / 0.5_f64.powi(30) - 1.0).abs() < 1e-6, "{}", record.lost);
        assert!(record.points.iter().any(|(count, ..)| *count == 30));
        assert_eq!(record.points.last().unwrap().2, 0.0);
        let few = SpectrumRecord::new(&[3.0, 1.0, 0.0, -1e-9], 7, 1);
        assert_eq!(few.points.len(), 4);
        assert_eq!(few.points[1], (2, 1.0 / 3.0, 0.0));
        assert_eq!(few.lost, 0.25);
        // A signal that is nothing loses nothing.
        assert_eq!(SpectrumRecord::new(&[0.0, 0.0], 7, 1).lost, 0.0);
    }

    #[test]
    fn what_is_no_record_is_refused_by_name() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(Record::read(directory.path()).unwrap(), None);
        for (text, says) in [
            ("{", "line 1"),
            ("{}", "`format` is missing"),
            ("{\"format\": 2}", "update slicegpt"),
            ("{\"format\": 1}", "missing field"),
        ] {
            std::fs::write(directory.path().join(Record::FILE), text).unwrap();
            let error = Record::read(directory.path()).unwrap_err().to_string();
            assert!(error.contains(Record::FILE) && error.contains(says), "{error}");
        }
    }
}
