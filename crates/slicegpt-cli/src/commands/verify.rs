//! `slicegpt verify`: checks that fusing and rotating does not change a model.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use serde_json::json;
use slicegpt_calibrate::random_basis;
use slicegpt_corpus::Samples;
use slicegpt_eval::difference;
use slicegpt_invariance::Rotated;

use crate::args::options::{self, positive};
use crate::args::running::Running;
use crate::args::text::Cutting;
use crate::commands::ppl::eval_error;
use crate::services::device::Batches;
use crate::services::model::Opened;
use crate::show::output;
use crate::show::progress::Progress;

/// Arguments of `slicegpt verify`.
#[derive(clap::Args)]
pub struct Args {
    /// Hugging Face checkpoint directory, GGUF file, or org/name[@revision] on the Hub; dense
    model: PathBuf,
    /// Text to compare logits on, at most 256 tokens per sequence [default: random tokens]
    #[arg(long, value_name = "FILE")]
    text: Option<PathBuf>,
    #[command(flatten)]
    cutting: Cutting,
    #[command(flatten)]
    running: Running,
    /// Compare on the first N sequences only
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = positive)]
    max_samples: usize,
    /// Largest allowed difference, relative to the largest logit
    #[arg(long, value_name = "X", default_value_t = 1e-4, value_parser = options::tolerance)]
    tolerance: f64,
    /// Seed of the rotations and the random tokens
    #[arg(long, value_name = "N", default_value_t = 42)]
    seed: u64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Largest number of tokens compared per sequence: enough to see any error, and fast.
const LONGEST: usize = 256;

/// Runs it.
pub fn run(args: Args) -> Result<ExitCode> {
    let opened = Opened::open(&args.model)?;
    let target = args.running.open()?;
    let spec = &opened.spec;
    crate::commands::plan::refuse_sliced(&crate::services::model::Described::read(&args.model)?)?;
    let samples = match &args.text {
        Some(path) => {
            let seqlen = args.cutting.seqlen_for(&opened).min(LONGEST);
            let cutting = Cutting { seqlen: Some(seqlen), ..args.cutting.clone() };
            let samples = cutting.evaluation(&opened, Some(path), None, None)?;
            samples.take(args.max_samples)
        }
        None => {
            let seqlen = args.cutting.seqlen_for(&opened).min(LONGEST);
            let mut rng = ChaCha20Rng::seed_from_u64(args.seed);
            let ids = (0..args.max_samples * seqlen)
                .map(|_| rng.random_range(0..spec.vocab_size as u32))
                .collect();
            Samples::new(ids, None, seqlen)
        }
    };
    // A different rotation at every cut, made when it is needed.
    let basis = |cut| random_basis(spec.hidden_size, args.seed.wrapping_add(1 + cut as u64));
    let model = opened.model(&target.device);
    let Batches { batches, lanes } = target.batches(spec, &samples);
    let progress = Progress::start("verifying", 2 * batches.len() * spec.layers);
    let rotated = Rotated::new(&model, basis);
    let found = target.run(|| {
        let found = difference(&model, &rotated, &batches, &lanes, &progress);
        found.map_err(|error| eval_error(error, &args.model))
    })?;
    progress.finish();
    let good = found.max_rel <= args.tolerance;
    let json = json!({
        "max_abs_logit_diff": found.max_abs,
        "max_rel_logit_diff": found.max_rel,
        "tolerance": args.tolerance,
        "tokens": found.tokens,
        "passed": good,
        "device": target.info.name.to_string(),
    });
    let verdict = if good { "unchanged" } else { "CHANGED" };
    let rows = vec![
        ("logits after fusing and rotating", vec![verdict.into()]),
        ("largest difference", vec![format!("{:.3e}", found.max_abs)]),
        ("relative to the largest logit", vec![format!("{:.3e}", found.max_rel)]),
        ("tolerance", vec![format!("{:.0e}", args.tolerance)]),
        ("tokens compared", vec![found.tokens.to_string()]),
    ];
    output::print(args.json.then_some(json), &rows, &[], None)?;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
