//! The arguments of `slicegpt compress`, and the plan that they describe.

use std::path::PathBuf;

use anyhow::Result;
use clap::ValueEnum;
use slicegpt_checkpoint::Dtype;
use slicegpt_compress::{Axes, Plan, PlanError, Ranking, SearchBudget, field};

use crate::args::calibration::Calibration;
use crate::args::computing::Computing;
use crate::args::cut::{Cut, Method};
use crate::args::evaluation::Evaluation;
use crate::args::options::{DtypeName, option};
use crate::args::refit::Refit;
use crate::args::running::Running;
use crate::show::size::parse_bytes;

/// Arguments of `slicegpt compress`.
#[derive(clap::Args)]
pub struct Args {
    /// Hugging Face checkpoint directory, GGUF file, or org/name[@revision] on the Hub
    pub model: PathBuf,
    /// Directory to write; it appears only when it is complete
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    #[command(flatten)]
    pub cut: Cut,
    /// Axes inside the kept subspace: along the eigenvectors, or random. The function of the model
    /// is the same; random axes spread magnitudes, for half precision and quantisation
    #[arg(long, value_enum, default_value_t = OrientationName::Pca, help_heading = "What to cut")]
    pub orientation: OrientationName,
    /// Refit linears to the dense model after the cut: held-out (shared; held-out calibration
    /// tokens decide how strongly), ridge[:LAMBDA], with LAMBDA relative to the mean square of the
    /// inputs, or none [default: held-out; none per-layer]
    #[arg(long, value_name = "HOW", help_heading = "What to cut")]
    pub refit: Option<Refit>,
    /// Begin no measurement of the search after this many seconds; or none, for no limit (shared)
    /// [default: none below 1 B parameters, 1800 from there on]
    #[arg(long, value_name = "SECONDS", value_parser = budget, help_heading = "What to cut")]
    pub search_budget: Option<SearchBudget>,
    /// Order of directions: by the loss of the linears that read the stream, or by energy (shared)
    /// [default: read]
    #[arg(long, value_enum, help_heading = "What to cut")]
    pub basis: Option<BasisName>,
    #[command(flatten)]
    pub calibration: Calibration,
    /// Statistics that `slicegpt calibrate` wrote for this model and calibration text (shared)
    #[arg(long, value_name = "FILE", help_heading = "Calibration")]
    pub stats: Option<PathBuf>,
    #[command(flatten)]
    pub running: Running,
    #[command(flatten)]
    pub computing: Computing,
    /// Type of the written weights [default: as in the checkpoint]
    #[arg(long, value_enum, help_heading = "Output")]
    pub dtype: Option<DtypeName>,
    /// Largest size of a weights file
    #[arg(
        long,
        value_name = "SIZE",
        default_value = "5GB",
        value_parser = parse_bytes,
        help_heading = "Output"
    )]
    pub max_shard_size: u64,
    /// Replace the checkpoint in --out
    #[arg(long, help_heading = "Output")]
    pub force: bool,
    /// Print one JSON object
    #[arg(long, help_heading = "Output")]
    pub json: bool,
    /// Write the eigenvalues at every cut, un-normalised and descending, as JSON
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub spectra: Option<PathBuf>,
    #[command(flatten)]
    pub evaluation: Evaluation,
}

/// Axes inside the kept subspace.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OrientationName {
    /// Along the eigenvectors
    Pca,
    /// Along random directions, from --seed
    Random,
}

/// Order of directions.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BasisName {
    /// By the loss of the readers without them
    Read,
    /// By energy
    Energy,
}

/// Seconds, or `none`.
fn budget(text: &str) -> std::result::Result<SearchBudget, String> {
    match (text, text.parse::<u64>()) {
        ("none", _) => Ok(SearchBudget::Unlimited),
        (_, Ok(seconds)) => Ok(SearchBudget::Seconds(seconds)),
        _ => Err("a whole number of seconds is needed, or none".into()),
    }
}

impl Args {
    /// The plan, for weights that are written as `dtype`.
    pub fn plan(&self, dtype: Dtype) -> Result<Plan> {
        self.refuse_misfits()?;
        Ok(Plan {
            orientation: match self.orientation {
                OrientationName::Pca => Axes::Pca,
                OrientationName::Random => Axes::Random,
            },
            seed: self.calibration.seed,
            refit: self.refit.map(Into::into),
            ranking: self.basis.map(|basis| match basis {
                BasisName::Read => Ranking::Read,
                BasisName::Energy => Ranking::Energy,
            }),
            search_budget: self.search_budget,
            all_spectra: self.spectra.is_some(),
            ..self.cut.plan(dtype)?
        })
    }

    /// Refuses the one option that has no effect with the method and is not part of a plan.
    fn refuse_misfits(&self) -> Result<()> {
        if self.stats.is_some() && self.cut.method == Method::PerLayer {
            let needs = slicegpt_compress::Method::Shared;
            let error = PlanError::Method { field: field::STATS, value: None, needs };
            anyhow::bail!(error.message(&option));
        }
        Ok(())
    }
}
