//! The results of a study, as `slicegpt` printed them, and the failures.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::plan::Cut;

/// All results; a failure is an error message.
pub struct Study {
    pub dense: Vec<Dense>,
    pub runs: Vec<RunResult>,
}

/// An uncompressed model on one text.
pub struct Dense {
    pub model: String,
    pub text: String,
    pub found: Result<Perplexity, String>,
}

/// A compression and its scores.
pub struct RunResult {
    pub model: String,
    pub calibration: String,
    pub seed: u64,
    pub cut: Cut,
    pub found: Result<Compressed, String>,
}

pub struct Compressed {
    pub summary: Summary,
    /// The JSON as it was printed.
    pub report: Value,
    pub scores: Vec<Score>,
}

/// A compressed model on one text.
pub struct Score {
    pub text: String,
    /// Whether the run was calibrated on this text.
    pub is_calibration: bool,
    pub found: Result<(Perplexity, Divergence), String>,
}

/// Part of the output of `slicegpt compress --json`.
#[derive(Clone, Debug, Deserialize)]
pub struct Summary {
    pub real_reduction: f64,
    pub params_before: u64,
    pub params_after: u64,
    pub widths: Vec<usize>,
    pub intermediate_size: Option<usize>,
    pub tied: bool,
    pub refit: Option<String>,
    pub seconds: f64,
    pub calibration: Calibration,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Calibration {
    pub digest: String,
}

/// Part of the output of `slicegpt eval ppl --json`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Perplexity {
    pub perplexity: f64,
    pub nll: f64,
    pub nll_standard_error: f64,
    pub tokens: u64,
    pub samples: u64,
    pub seqlen: u64,
    #[serde(skip_serializing)]
    pub protocol: String,
}

/// Part of the output of `slicegpt eval kl --json`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Divergence {
    pub kl: f64,
    pub kl_standard_error: f64,
    pub top1_agreement: f64,
    pub tokens: u64,
    #[serde(skip_serializing)]
    pub protocol: String,
}

impl Study {
    pub fn dense(&self, model: &str, text: &str) -> Option<&Perplexity> {
        let mut dense = self.dense.iter();
        let dense = dense.find(|dense| dense.model == model && dense.text == text)?;
        dense.found.as_ref().ok()
    }

    /// All scores that did not fail.
    pub fn scores(&self) -> impl Iterator<Item = &(Perplexity, Divergence)> {
        let compressed = self.runs.iter().filter_map(|run| run.found.as_ref().ok());
        let scores = compressed.flat_map(|compressed| &compressed.scores);
        scores.filter_map(|score| score.found.as_ref().ok())
    }

    /// The protocols of perplexity and of KL divergence, as `slicegpt` describes them.
    pub fn protocols(&self) -> Vec<&str> {
        let mut protocols = Vec::new();
        for (perplexity, divergence) in self.scores() {
            for protocol in [&perplexity.protocol, &divergence.protocol] {
                if !protocols.contains(&protocol.as_str()) {
                    protocols.push(protocol);
                }
            }
        }
        protocols
    }

    /// One line for each failure, with its reason.
    pub fn failures(&self) -> Vec<String> {
        let dense = self.dense.iter().filter_map(|dense| {
            let error = dense.found.as_ref().err()?;
            Some(format!("{}, dense, on {}: {error}", dense.model, dense.text))
        });
        let runs = self.runs.iter().flat_map(|run| {
            let title = run.title();
            match &run.found {
                Err(error) => vec![format!("{title}: {error}")],
                Ok(compressed) => {
                    let failed = compressed.scores.iter().filter_map(|score| {
                        let error = score.found.as_ref().err()?;
                        Some(format!("{title}, on {}: {error}", score.text))
                    });
                    failed.collect()
                }
            }
        });
        dense.chain(runs).collect()
    }
}

impl RunResult {
    pub fn title(&self) -> String {
        let Self { model, calibration, seed, cut, .. } = self;
        format!("{model}, calibrated on {calibration}, seed {seed}, {cut}")
    }
}

#[cfg(test)]
pub mod tests {
    use super::super::plan::Method;
    use super::super::plan::tests::plan;
    use super::super::run::{study, tests::fake};
    use super::*;

    /// The results of [`plan`] if one run and one score fail.
    pub fn example() -> Study {
        study(&plan(), "out".as_ref(), &fake, &|_| {})
    }

    #[test]
    fn failures_are_told_with_what_failed() {
        let study = example();
        assert_eq!(
            study.failures(),
            [
                "model, calibrated on train.txt, seed 2, per-layer, sparsity 0.2: no such size",
                "model, calibrated on web.txt, seed 1, shared, keep-params 0.8, on valid.txt: \
                 eval kl: overflow",
            ]
        );
        assert_eq!(study.scores().count(), 13);
        assert_eq!(study.protocols(), ["exp of the mean", "KL(base || model)"]);
    }

    #[test]
    fn the_dense_model_is_found_by_text() {
        let study = example();
        assert_eq!(study.dense.len(), 3);
        assert_eq!(study.dense("model", "web.txt").unwrap().perplexity, 10.0);
        assert!(study.dense("model", "other.txt").is_none());
        assert!(study.runs.iter().any(|run| run.cut.method == Method::PerLayer));
    }
}
