//! `slicegpt plan --search`: measures the shapes of a size, as `compress` does before it cuts.

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, bail};
use serde_json::{Value, json};
use slicegpt_compress::{Compression, Cut, Plan, Searched, Trial};
use slicegpt_provenance::TriedSplit;

use crate::args::calibration::{Calibration, Purpose};
use crate::args::computing::Computing;
use crate::args::running::Running;
use crate::args::text::token_batch;
use crate::services::calibrated::{Calibrated, OpenDevice};
use crate::services::model::Described;
use crate::services::watch::Watch;

/// How shapes are measured. A forecast without a search takes the numbers of samples and tokens
/// from here, for its estimate of memory.
#[derive(clap::Args)]
pub struct Options {
    #[command(flatten)]
    pub calibration: Calibration,
    #[command(flatten)]
    pub running: Running,
    #[command(flatten)]
    computing: Computing,
}

/// The measured shapes of a size.
pub struct Search {
    /// The shape that `compress` would take.
    pub searched: Searched,
    seconds: f64,
}

impl Search {
    /// Measures the shapes of `cut` of the model in `model`, which is `described`.
    pub fn run(
        options: &Options,
        (model, described): (&Path, Described),
        plan: &Plan,
        cut: &Cut,
    ) -> Result<Self> {
        let Options { calibration, running, computing } = options;
        let Cut::Shared(cut) = cut else {
            bail!("--search: --method per-layer has one shape for a size; leave it out");
        };
        let opened = described.open(model)?;
        let purpose = Purpose::cut(plan, computing);
        let Calibrated { target, settings, samples, .. } =
            OpenDevice::new(running, computing)?.load(&opened, calibration, &purpose)?;
        let start = Instant::now();
        let model = opened.model(&target.device);
        let watch = Watch::new(&target);
        let compression = Compression {
            plan: plan.clone(),
            computing: settings,
            observer: watch,
            ..Compression::new(&model)
        };
        let tokens = token_batch(&samples);
        let searched = target.run(|| {
            let found = compression.search(cut, &tokens);
            found.map_err(|error| computing.advise(error))
        })?;
        Ok(Self { searched, seconds: start.elapsed().as_secs_f64() })
    }

    /// The measurements, the better ones first, for `--json`.
    pub fn json(&self) -> Value {
        let tried: Vec<TriedSplit> = self.searched.tried.iter().map(Into::into).collect();
        json!({ "removed_layers": self.searched.removed, "tried": tried, "seconds": self.seconds })
    }

    /// The header of [`Search::rows`].
    pub const HEADER: [&str; 6] =
        ["layers", "stream width", "MLP width", "key/value heads", "tokens", "KL, nats per token"];

    /// The measurements, the better ones first; the shape that is taken is marked.
    pub fn rows(&self) -> Vec<(String, Vec<String>)> {
        let Searched { split, removed, tried } = &self.searched;
        let row = |trial: &Trial| {
            let is_taken = (trial.split, &trial.removed) == (*split, removed);
            let trial = TriedSplit::from(trial);
            let cells = vec![
                trial.hidden_size.to_string(),
                trial.intermediate_size.to_string(),
                trial.kv_heads.map_or("-".into(), |heads| heads.to_string()),
                trial.tokens.map_or("-".into(), |tokens| tokens.to_string()),
                format!("{:.5}{}", trial.kl, if is_taken { " *" } else { "" }),
            ];
            (trial.layers_in_words().unwrap_or_default(), cells)
        };
        tried.iter().map(row).collect()
    }
}
