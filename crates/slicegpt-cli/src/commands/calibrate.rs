//! `slicegpt calibrate`: the statistics of a model, computed once for all sizes.

use std::fs::File;
use std::io::{BufWriter, IntoInnerError};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};
use serde_json::json;
use slicegpt_checkpoint::Staging;
use slicegpt_compress::{Compression, Plan, write_statistics};

use crate::args::calibration::{Calibration, Purpose};
use crate::args::computing::Computing;
use crate::args::running::Running;
use crate::args::text::token_batch;
use crate::commands::plan::refuse_sliced;
use crate::services::calibrated::{Calibrated, OpenDevice};
use crate::services::memory::peak_rss_bytes;
use crate::services::model::Described;
use crate::services::watch::Watch;
use crate::show::output;
use crate::show::progress::note;
use crate::show::size::show_bytes;

/// Arguments of `slicegpt calibrate`.
#[derive(clap::Args)]
pub struct Args {
    /// Hugging Face checkpoint directory, GGUF file, or org/name[@revision] on the Hub; dense
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

/// Name of the file until it is moved into place.
const NAME: &str = "statistics.safetensors";

/// Runs it.
pub fn run(args: Args) -> Result<ExitCode> {
    args.calibration.check()?;
    let described = Described::read(&args.model)?;
    refuse_sliced(&described)?;
    let staging = Staging::for_file(&args.out, &described.directory)?;
    output::check_ours("--out", &args.out, is_ours, "file of statistics")?;
    let opened = described.open(&args.model)?;
    let plan = Plan::default();
    let purpose = Purpose { plan: &plan, computing: &args.computing, streams: 1 };
    let Calibrated { target, settings: computing, samples, record: calibration, .. } =
        OpenDevice::new(&args.running, &args.computing)?.load(
            &opened,
            &args.calibration,
            &purpose,
        )?;
    let start = Instant::now();
    let model = opened.model(&target.device);
    let watch = Watch::new(&target);
    let compression = Compression { computing, observer: watch, ..Compression::new(&model) };
    let statistics = target.run(|| {
        let found = compression.statistics(&token_batch(&samples));
        found.map_err(|error| args.computing.advise(error))
    })?;
    let origin = args.computing.origin(&opened, calibration, &target)?;
    let path = staging.path().join(NAME);
    let at = || path.display().to_string();
    let mut file = BufWriter::new(File::create_new(&path).with_context(at)?);
    write_statistics(&statistics, &origin, &mut file).with_context(at)?;
    file.into_inner().map_err(IntoInnerError::into_error).with_context(at)?;
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

/// Whether a file that begins with these bytes holds statistics.
fn is_ours(start: &[u8]) -> bool {
    output::says(start, "\"__metadata__\"") && output::says(start, "\"slicegpt\"")
}
