//! `slicegpt calibrate`: what a model's signals say, once for every size it may be cut to.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use serde_json::json;
use slicegpt_checkpoint::Staging;
use slicegpt_slice::Settings;

use crate::commands::compress::Computing;
use crate::commands::compress::shared::Shared;
use crate::commands::plan::refuse_sliced;
use crate::device::Running;
use crate::memory::peak_rss_bytes;
use crate::model::{Described, Opened};
use crate::output;
use crate::progress::note;
use crate::size::show_bytes;
use crate::stats;
use crate::text::Calibration;

/// Arguments of `slicegpt calibrate`.
#[derive(clap::Args)]
pub struct Args {
    /// Hugging Face checkpoint directory, or org/name[@revision] on the Hub; dense
    model: PathBuf,
    /// File to write, for `compress --stats`; it appears only when it is complete
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    calibration: Calibration,
    #[command(flatten)]
    running: Running,
    #[command(flatten)]
    computing: Computing,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// The file's name until it is put in place.
const NAME: &str = "statistics.safetensors";

/// Runs it.
pub fn run(args: Args) -> Result<ExitCode> {
    let described = Described::read(&args.model)?;
    refuse_sliced(&described)?;
    let staging = Staging::for_file(&args.out, &described.directory)?;
    output::check_ours("--out", &args.out, stats::is_ours, "file of statistics")?;
    let opened = Opened::open(&args.model)?;
    let target = args.running.open()?;
    let computing = args.computing.settings(&target)?;
    let (samples, source) = target.run(|| args.calibration.load(&opened, &target))?;
    let batches = target.batches(&opened.spec, &samples);
    let start = Instant::now();
    let model = opened.model(&target.device);
    let pass = Shared { model: &model, target: &target, ridge: None, tied: false, free: None };
    let settings = Settings { lanes: batches.lanes.clone(), ..computing };
    let profile = target.run(|| pass.profile(&batches.batches, settings));
    let profile = profile.map_err(|error| args.computing.advise(error))?;
    let calibration = crate::text::described(&samples, source);
    let origin = stats::Origin::new(&opened, calibration, &args.computing, &target)?;
    let path = staging.path().join(NAME);
    stats::write(&path, &profile, &origin)?;
    let bytes = path.metadata()?.len();
    staging.commit_file(NAME)?;
    let seconds = start.elapsed().as_secs_f64();
    let peak = peak_rss_bytes();
    let json = json!({
        "out": args.out.to_string_lossy(),
        "bytes": bytes,
        "model_digest": origin.model,
        "calibration": origin.calibration,
        "compute_dtype": origin.compute_dtype,
        "covariance": origin.covariance,
        "device": target.info.name.to_string(),
        "seconds": seconds,
        "peak_rss_bytes": peak,
    });
    let rows = vec![
        ("calibration", vec![format!("{} x {}", samples.count(), samples.seqlen())]),
        ("size of the file", vec![show_bytes(bytes)]),
        ("device", vec![target.info.name.to_string()]),
        ("seconds", vec![format!("{seconds:.1}")]),
        ("peak memory", vec![peak.map_or("-".into(), show_bytes)]),
    ];
    output::print(args.json.then_some(json), &rows, &[], None)?;
    note(format!("wrote {}", args.out.display()));
    Ok(ExitCode::SUCCESS)
}
