//! `slicegpt plan`: what slicing would give, from `config.json` alone.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use serde_json::json;
use slicegpt_checkpoint::Dtype;

use crate::device::enough_on_cpu;
use crate::estimate;
use crate::model::Described;
use crate::options::{Cut, DtypeName, positive};
use crate::output;
use crate::size::{show_bytes, show_count, show_percent};
use crate::text::{SAMPLES, SEQLEN};

/// Arguments of `slicegpt plan`.
#[derive(clap::Args)]
pub struct Args {
    /// Hugging Face checkpoint directory; only its config.json is read
    model: PathBuf,
    #[command(flatten)]
    cut: Cut,
    /// Type the weights would be written as [default: as in config.json]
    #[arg(long, value_enum)]
    dtype: Option<DtypeName>,
    /// Sequences to calibrate on, for the memory estimate
    #[arg(long, value_name = "N", default_value_t = SAMPLES, value_parser = positive)]
    samples: usize,
    /// Tokens per sequence, for the memory estimate
    #[arg(long, value_name = "N", default_value_t = SEQLEN, value_parser = positive)]
    seqlen: usize,
    /// Sequences run at a time, for the memory estimate of a run on the processor [default: what
    /// `compress --batch-size auto` takes on this machine]
    #[arg(long, value_name = "N", value_parser = positive)]
    batch_size: Option<usize>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(args: Args) -> Result<ExitCode> {
    let described = Described::read(&args.model)?;
    refuse_sliced(&described)?;
    let spec = &described.spec;
    let widths = args.cut.widths(spec)?;
    let sliced = spec.sliced(widths.clone());
    let stored = described.dtype();
    let dtype = args.dtype.map_or(stored, Dtype::from);
    let (before, after) = (spec.parameters() as u64, sliced.parameters() as u64);
    let (bytes_before, bytes_after) = (before * stored.size() as u64, after * dtype.size() as u64);
    let reduction = 1.0 - after as f64 / before as f64;
    let seqlen = args.seqlen.min(spec.context_length);
    let batch_size = args.batch_size.unwrap_or_else(|| enough_on_cpu(seqlen));
    let peak = estimate::peak(spec, args.samples, seqlen, batch_size);
    let json = json!({
        "method": args.cut.method.name(),
        "nominal_sparsity": args.cut.nominal(),
        "real_reduction": reduction,
        "params_before": before,
        "params_after": after,
        "bytes_before": bytes_before,
        "bytes_after": bytes_after,
        "dtype": dtype.torch_name(),
        "widths": widths.as_slice(),
        "estimated_peak_bytes": peak,
        "samples": args.samples,
        "seqlen": seqlen,
    });
    let distinct: std::collections::BTreeSet<_> = widths.as_slice().iter().collect();
    let distinct: Vec<String> = distinct.into_iter().map(usize::to_string).collect();
    let arrow = |before: String, after: String| vec![before, after];
    let rows = vec![
        ("stream width", arrow(spec.hidden_size.to_string(), distinct.join(", "))),
        ("parameters", arrow(show_count(before), show_count(after))),
        ("bytes", arrow(show_bytes(bytes_before), show_bytes(bytes_after))),
        (
            "nominal sparsity",
            arrow(String::new(), args.cut.nominal().map_or("plan file".into(), show_percent)),
        ),
        ("real reduction", arrow(String::new(), show_percent(reduction))),
        ("peak memory (estimate)", arrow(String::new(), show_bytes(peak))),
    ];
    output::print(args.json.then_some(json), &rows, &["", "before", "after"], None)?;
    Ok(ExitCode::SUCCESS)
}

/// Refuses a checkpoint that is sliced already: its bases are gone.
pub fn refuse_sliced(described: &Described) -> Result<()> {
    if described.manifest.is_some() {
        bail!("the model is sliced already; give the dense checkpoint it was made from");
    }
    Ok(())
}
