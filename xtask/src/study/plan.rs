//! The runs of a study: every model, calibration text, seed, method and size.

use std::fmt;
use std::path::PathBuf;

use serde::{Serialize, Serializer};

pub struct Plan {
    pub models: Vec<Source>,
    pub calibrations: Vec<Source>,
    /// Texts that are scored in addition to the calibration text.
    pub texts: Vec<Source>,
    pub cuts: Vec<Cut>,
    pub seeds: Vec<u64>,
    pub samples: usize,
    pub seqlen: usize,
    pub max_eval_samples: Option<usize>,
    pub device: Option<String>,
}

/// A model or a text, and its name in results.
pub struct Source {
    pub name: String,
    pub path: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Method {
    /// One basis for the whole model.
    Shared,
    /// One basis per cut, as in the paper.
    PerLayer,
}

/// A method and its nominal size.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Cut {
    pub method: Method,
    pub fraction: f64,
}

/// One compression, which is scored on several texts.
pub struct Run<'a> {
    pub model: &'a Source,
    pub calibration: &'a Source,
    pub seed: u64,
    pub cut: Cut,
}

/// The range from 0 to 1 with one of its ends.
#[derive(Clone, Copy)]
pub enum Fractions {
    WithoutZero,
    WithoutOne,
}

impl Plan {
    pub fn runs(&self) -> Vec<Run<'_>> {
        let mut runs = Vec::new();
        for model in &self.models {
            for calibration in &self.calibrations {
                for &seed in &self.seeds {
                    let cuts = self.cuts.iter();
                    runs.extend(cuts.map(|&cut| Run { model, calibration, seed, cut }));
                }
            }
        }
        runs
    }

    /// The texts on which a run with this calibration text is scored; the text itself comes last.
    pub fn scored<'a>(&'a self, calibration: &'a Source) -> impl Iterator<Item = &'a Source> {
        self.texts.iter().chain(std::iter::once(calibration))
    }

    /// All texts on which any run is scored.
    pub fn all_texts(&self) -> impl Iterator<Item = &Source> {
        self.texts.iter().chain(&self.calibrations)
    }
}

impl Method {
    pub const ALL: [Self; 2] = [Self::Shared, Self::PerLayer];

    pub fn name(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::PerLayer => "per-layer",
        }
    }

    /// The option of `slicegpt compress` that sets the size, without its dashes.
    pub fn size_option(self) -> &'static str {
        match self {
            Self::Shared => "keep-params",
            Self::PerLayer => "sparsity",
        }
    }

    /// The values of that option.
    pub fn fractions(self) -> Fractions {
        match self {
            Self::Shared => Fractions::WithoutZero,
            Self::PerLayer => Fractions::WithoutOne,
        }
    }
}

impl Cut {
    /// The nominal size, as text.
    pub fn asked(&self) -> String {
        format!("{} {}", self.method.size_option(), self.fraction)
    }

    /// The options of `slicegpt compress` for this cut.
    pub fn options(&self) -> Vec<String> {
        let size = format!("--{}", self.method.size_option());
        let mut options = vec!["--method".to_owned(), self.method.to_string()];
        options.extend([size, self.fraction.to_string()]);
        if self.method == Method::PerLayer {
            // The other method always cuts the width that the head reads.
            options.push("--slice-head".to_owned());
        }
        options
    }
}

impl Fractions {
    pub fn contains(self, fraction: f64) -> bool {
        match self {
            Self::WithoutZero => fraction > 0.0 && fraction <= 1.0,
            Self::WithoutOne => (0.0..1.0).contains(&fraction),
        }
    }
}

impl fmt::Display for Fractions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WithoutZero => "(0, 1]",
            Self::WithoutOne => "[0, 1)",
        })
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.method, self.asked())
    }
}

impl Serialize for Method {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    fn sources(names: &[&str]) -> Vec<Source> {
        let source =
            |name: &&str| Source { name: (*name).into(), path: format!("/in/{name}").into() };
        names.iter().map(source).collect()
    }

    /// One model, two calibration texts, one other text, two cuts and two seeds.
    pub fn plan() -> Plan {
        Plan {
            models: sources(&["model"]),
            calibrations: sources(&["train.txt", "web.txt"]),
            texts: sources(&["valid.txt"]),
            cuts: vec![
                Cut { method: Method::Shared, fraction: 0.8 },
                Cut { method: Method::PerLayer, fraction: 0.2 },
            ],
            seeds: vec![1, 2],
            samples: 128,
            seqlen: 256,
            max_eval_samples: Some(10),
            device: Some("cpu".to_owned()),
        }
    }

    #[test]
    fn every_combination_is_run_once() {
        let mut plan = plan();
        plan.models = sources(&["a", "b"]);
        let runs = plan.runs();
        assert_eq!(runs.len(), 16);
        let keys: Vec<_> = runs
            .iter()
            .map(|run| (&run.model.name, &run.calibration.name, run.seed, run.cut.to_string()))
            .collect();
        for (index, key) in keys.iter().enumerate() {
            assert!(!keys[..index].contains(key), "{key:?} twice");
        }
    }

    #[test]
    fn a_run_is_scored_on_its_own_calibration_text_last() {
        let plan = plan();
        let names: Vec<_> = plan.scored(&plan.calibrations[1]).map(|text| &text.name).collect();
        assert_eq!(names, ["valid.txt", "web.txt"]);
    }

    #[test]
    fn each_method_is_asked_for_in_its_own_words() {
        let options = |method, fraction| Cut { method, fraction }.options().join(" ");
        assert_eq!(options(Method::Shared, 0.75), "--method shared --keep-params 0.75");
        assert_eq!(
            options(Method::PerLayer, 0.3),
            "--method per-layer --sparsity 0.3 --slice-head"
        );
    }
}
