//! `slicegpt plan`: what slicing would give, from `config.json` alone.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use serde_json::json;
use slicegpt_checkpoint::Dtype;
use slicegpt_models::DecoderSpec;
use slicegpt_slice::Split;

use crate::cut::{Cut, Method, Wanted, shape};
use crate::device::enough_on_cpu;
use crate::estimate;
use crate::model::Described;
use crate::options::{DtypeName, positive};
use crate::output;
use crate::size::{show_bytes, show_count, show_percent, show_widths};
use crate::text::{SAMPLES, SEQLEN};

/// Arguments of `slicegpt plan`.
#[derive(clap::Args)]
pub struct Args {
    /// Hugging Face checkpoint directory, or org/name[@revision] on the Hub; only its config.json is read
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
    let stored = described.dtype();
    let dtype = args.dtype.map_or(stored, Dtype::from);
    let (candidates, splits): (Vec<DecoderSpec>, Vec<Split>) = match args.cut.wanted(spec, dtype)? {
        Wanted::PerLayer(widths) => (vec![spec.in_per_layer_bases(widths)], Vec::new()),
        Wanted::Shared { splits, tied, free } => {
            let shared = |split: &Split| shape(spec, *split, tied, free.is_some());
            (splits.iter().map(shared).collect(), splits)
        }
    };
    let sliced = &candidates[0];
    let widths: Vec<usize> = (0..sliced.cuts()).map(|cut| sliced.width(cut)).collect();
    let (before, after) = (spec.parameters() as u64, sliced.parameters() as u64);
    let (bytes_before, bytes_after) = (before * stored.size() as u64, after * dtype.size() as u64);
    let reduction = 1.0 - after as f64 / before as f64;
    let seqlen = args.seqlen.min(spec.context_length);
    let batch_size = args.batch_size.unwrap_or_else(|| enough_on_cpu(seqlen));
    let peak =
        estimate::peak(spec, args.samples, seqlen, batch_size, args.cut.method == Method::Shared);
    let json = json!({
        "method": args.cut.method.name(),
        "nominal_sparsity": args.cut.nominal(),
        "real_reduction": reduction,
        "params_before": before,
        "params_after": after,
        "bytes_before": bytes_before,
        "bytes_after": bytes_after,
        "dtype": dtype.torch_name(),
        "widths": widths,
        "hidden_size": sliced.width(0),
        "intermediate_size": sliced.intermediate_size(0),
        "tied": sliced.tied,
        "splits": splits.iter().map(split_json).collect::<Vec<_>>(),
        "estimated_peak_bytes": peak,
        "samples": args.samples,
        "seqlen": seqlen,
    });
    let arrow = |before: String, after: String| vec![before, after];
    let rows = vec![
        ("stream width", arrow(spec.hidden_size.to_string(), range(&candidates, &widths))),
        ("MLP width", arrow(spec.mlp.intermediate_size.to_string(), inner_range(&candidates))),
        ("parameters", arrow(show_count(before), show_count(after))),
        ("bytes", arrow(show_bytes(bytes_before), show_bytes(bytes_after))),
        (
            "nominal sparsity",
            arrow(String::new(), args.cut.nominal().map_or("-".into(), show_percent)),
        ),
        ("real reduction", arrow(String::new(), show_percent(reduction))),
        ("peak memory (estimate)", arrow(String::new(), show_bytes(peak))),
    ];
    let several = (candidates.len() > 1).then(|| {
        format!(
            "{} splits have this size: the narrowest MLP goes with the widest stream. `compress` \
             measures which is best; --hidden-size and --intermediate-size choose one.",
            candidates.len()
        )
    });
    output::print(args.json.then_some(json), &rows, &["", "before", "after"], several.as_deref())?;
    Ok(ExitCode::SUCCESS)
}

fn split_json(split: &Split) -> serde_json::Value {
    json!({ "hidden_size": split.width, "intermediate_size": split.intermediate })
}

/// The widths of the stream of one candidate, or from the first to the last of several.
fn range(candidates: &[DecoderSpec], widths: &[usize]) -> String {
    match candidates {
        [_] => show_widths(widths),
        all => from_to(all.iter().map(|spec| spec.width(0))),
    }
}

fn inner_range(candidates: &[DecoderSpec]) -> String {
    from_to(candidates.iter().map(|spec| spec.intermediate_size(0)))
}

fn from_to(values: impl Iterator<Item = usize>) -> String {
    let values: Vec<usize> = values.collect();
    match (values.first(), values.last()) {
        (Some(first), Some(last)) if first != last => format!("{first} to {last}"),
        (first, _) => first.map_or_else(String::new, usize::to_string),
    }
}

/// Refuses a checkpoint that is sliced already: its bases are gone.
pub fn refuse_sliced(described: &Described) -> Result<()> {
    if described.spec.slicing.is_some() {
        bail!("the model is sliced already; give the dense checkpoint it was made from");
    }
    Ok(())
}
