//! `slicegpt inspect`: a description of a checkpoint.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use serde_json::{Value, json};
use slicegpt_models::Positions;

use crate::services::hub::outlined;
use crate::services::model::Opened;
use crate::show::output;
use crate::show::size::{show_bytes, show_count, show_percent, show_widths};

/// Arguments of `slicegpt inspect`.
#[derive(clap::Args)]
pub struct Args {
    /// Hugging Face checkpoint directory, GGUF file, or org/name[@revision] on the Hub
    model: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(args: Args) -> Result<ExitCode> {
    let outline = outlined(&args.model)?;
    let opened = Opened::open(&outline.directory)?;
    let spec = &opened.spec;
    let parameters = spec.parameters() as u64;
    let manifest = opened.checkpoint.manifest();
    let positions = match &spec.positions {
        Positions::Rotary(rope) => {
            format!("rotary over {} of {}", rope.dim, spec.attention.head_dim)
        }
        Positions::Learned { .. } => "learned".into(),
    };
    let json = json!({
        "model_type": spec.model_type,
        "hidden_size": spec.hidden_size,
        "layers": spec.layers,
        "heads": spec.attention.heads,
        "kv_heads": spec.attention.kv_heads,
        "head_dim": spec.attention.head_dim,
        "intermediate_size": spec.mlp.intermediate_size,
        "intermediate_sizes": spec.slicing.as_ref().map(|slicing| &slicing.intermediate_sizes),
        "vocab_size": spec.vocab_size,
        "context_length": spec.context_length,
        "positions": positions,
        "tied": spec.tied,
        "sublayers_per_block": spec.sublayers_per_block(),
        "cuts": spec.cuts(),
        "params": parameters,
        "bytes": opened.bytes,
        "dtype": opened.dtype.torch_name(),
        "files": opened.checkpoint.shards(),
        "gguf_bytes": opened.foreign_bytes(),
        "slicegpt": manifest.map_or(Value::Null, |manifest| manifest.to_json()),
    });
    let inner: Vec<usize> = (0..spec.layers).map(|block| spec.intermediate_size(block)).collect();
    let mut rows = vec![
        ("model type", spec.model_type.to_string()),
        ("hidden size", spec.hidden_size.to_string()),
        ("blocks", format!("{} of {} sublayers", spec.layers, spec.sublayers_per_block())),
        (
            "heads",
            format!(
                "{} x {}, {} for keys and values",
                spec.attention.heads, spec.attention.head_dim, spec.attention.kv_heads
            ),
        ),
        ("MLP width", show_widths(&inner)),
        ("vocabulary", spec.vocab_size.to_string()),
        ("context", spec.context_length.to_string()),
        ("positions", positions),
        ("head", if spec.tied { "tied to the embedding" } else { "untied" }.to_string()),
        ("places to cut", spec.cuts().to_string()),
        ("parameters", show_count(parameters)),
        ("bytes", format!("{} as {}", show_bytes(opened.bytes), opened.dtype)),
    ];
    if let Some(bytes) = opened.foreign_bytes() {
        rows.push(("bytes in GGUF", show_bytes(bytes)));
    }
    if let Some(manifest) = manifest {
        let widths = &manifest.widths;
        let (least, most) = (widths.iter().min(), widths.iter().max());
        let (least, most) = (least.copied().unwrap_or(0), most.copied().unwrap_or(0));
        rows.push(("sliced by", format!("{} ({})", manifest.method, manifest.tool_version)));
        rows.push(("widths", format!("{least} to {most} of {}", spec.hidden_size)));
        if let Some(nominal) = manifest.nominal_sparsity {
            rows.push(("nominal sparsity", show_percent(nominal)));
        }
        rows.push(("real reduction", show_percent(manifest.real_reduction)));
        rows.push(("calibration", {
            let calibration = &manifest.calibration;
            format!("{}, {} x {}", calibration.source, calibration.samples, calibration.seqlen)
        }));
    }
    let rows: Vec<_> = rows.into_iter().map(|(name, value)| (name, vec![value])).collect();
    output::print(args.json.then_some(json), &rows, &[], None)?;
    Ok(ExitCode::SUCCESS)
}
