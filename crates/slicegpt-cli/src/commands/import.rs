//! `slicegpt import`: a model that the reference implementation sliced, in our layout.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde_json::json;
use slicegpt_checkpoint::{
    Calibration, Checkpoint, Dtype, Manifest, Reference, Staging, Writer, is_companion,
};
use slicegpt_core::{TensorSource, Widths};
use slicegpt_hub::Need;
use slicegpt_models::{DecoderSpec, Kind, Part};

use crate::commands::compress::finish;
use crate::commands::plan::refuse_sliced;
use crate::hub::located;
use crate::model::{Described, Opened};
use crate::options::DtypeName;
use crate::output;
use crate::progress::{self, Progress, note};
use crate::size::{parse_bytes, show_bytes, show_count, show_percent, show_widths};

/// What norms of the reference implementation add to the mean square, whatever the model says.
const EPS: f64 = 1e-5;

/// Arguments of `slicegpt import`.
#[derive(clap::Args)]
pub struct Args {
    /// Directory with the NAME_SPARSITY.pt and NAME_SPARSITY.json of one model, or the .pt file
    reference: PathBuf,
    /// The dense model it was made from: Hugging Face checkpoint directory, or org/name[@revision] on the
    /// Hub. Its config, tokenizer and licence are taken, its weights are not needed
    #[arg(long, value_name = "MODEL")]
    base: PathBuf,
    /// Directory to write; it appears only when it is complete
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Type to write weights as [default: as in the file]
    #[arg(long, value_enum)]
    dtype: Option<DtypeName>,
    /// Largest size of a weights file
    #[arg(long, value_name = "SIZE", default_value = "5GB", value_parser = parse_bytes)]
    max_shard_size: u64,
    /// Replace the checkpoint in --out
    #[arg(long)]
    force: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(args: Args) -> Result<ExitCode> {
    let reference = Reference::open(&args.reference)?;
    let base = located(&args.base, Need::Beside(is_companion))?;
    let described = Described::read(&base)?;
    refuse_sliced(&described)?;
    let staging = Staging::new(&args.out, Some(&base), args.force)?;
    let checkpoint = Checkpoint::of_file(described.config.clone(), &reference.weights)?;
    let dense = &described.spec;
    let widths = widths(dense, &checkpoint)?;
    if let Some(sizes) = &reference.sizes {
        sizes.check(dense.hidden_size, dense.layers, dense.depth(), &widths)?;
    }
    let at = || reference.weights.display().to_string();
    let widths = Widths::new(widths, dense.cuts(), dense.hidden_size).with_context(at)?;
    let mut sliced = dense.in_per_layer_bases(widths);
    sliced.norm.eps = EPS;
    let opened = Opened::of(sliced, checkpoint)?;
    let sliced = &opened.spec;

    let dtype = args.dtype.map_or(opened.dtype, Dtype::from);
    let entries = sliced.entries();
    let tensors = entries.iter().map(|entry| (entry.name.clone(), entry.shape.clone())).collect();
    let mut writer = Writer::create(staging.path(), tensors, dtype, args.max_shard_size)?;
    let progress = Progress::start("importing", entries.len());
    for entry in &entries {
        writer.write(&entry.name, &opened.checkpoint.tensor(&entry.name, &entry.shape)?)?;
        let _ = progress.tick();
        progress::check()?;
    }
    progress.finish();
    let written = writer.finish()?;
    let (before, after) = (dense.parameters() as u64, sliced.parameters() as u64);
    let file = reference.weights.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let manifest = Manifest {
        format: Manifest::FORMAT,
        method: "per-layer".into(),
        stock: false,
        widths: (0..sliced.cuts()).map(|cut| sliced.width(cut)).collect(),
        intermediate_size: None,
        intermediate_sizes: None,
        refit: None,
        tried: Vec::new(),
        imported: Some(file),
        nominal_sparsity: reference.sparsity,
        real_reduction: 1.0 - after as f64 / before as f64,
        params_before: before,
        params_after: after,
        orientation: "unknown".into(),
        seed: 0,
        calibration: Calibration {
            source: "unknown".into(),
            digest: String::new(),
            samples: 0,
            seqlen: 0,
            tokens: 0,
        },
        tool_version: format!("slicegpt {}", env!("CARGO_PKG_VERSION")),
    };
    finish(&staging, &described, sliced, dtype, &manifest, None)?;
    progress::check()?;
    staging.commit()?;

    let json = json!({
        "out": args.out.to_string_lossy(),
        "reference": reference.weights,
        "base": args.base.to_string_lossy(),
        "method": manifest.method,
        "nominal_sparsity": manifest.nominal_sparsity,
        "real_reduction": manifest.real_reduction,
        "params_before": before,
        "params_after": after,
        "bytes_after": written.tensor_bytes,
        "dtype": dtype.torch_name(),
        "files": written.files,
        "widths": manifest.widths,
    });
    let mut rows = vec![
        ("imported from", vec![reference.weights.display().to_string()]),
        ("real reduction", vec![show_percent(manifest.real_reduction)]),
        ("parameters", vec![format!("{} of {}", show_count(after), show_count(before))]),
        ("bytes", vec![show_bytes(written.tensor_bytes)]),
        (
            "stream width",
            vec![format!("{} of {}", show_widths(&manifest.widths), dense.hidden_size)],
        ),
    ];
    if let Some(nominal) = manifest.nominal_sparsity {
        rows.insert(1, ("nominal sparsity", vec![show_percent(nominal)]));
    }
    output::print(args.json.then_some(json), &rows, &[], None)?;
    note(format!("wrote {}", args.out.display()));
    Ok(ExitCode::SUCCESS)
}

/// The width of the stream at every cut, as the tensors have it: those of the embedding, and those of what
/// writes it last in each sublayer.
fn widths(dense: &DecoderSpec, checkpoint: &Checkpoint) -> Result<Vec<usize>> {
    let at = checkpoint.directory().display();
    let shape = |name: &str| match checkpoint.shape(name) {
        Some([rows, columns]) => Ok([*rows, *columns]),
        Some(other) => bail!("{at}: tensor `{name}` has shape {other:?}, expected a matrix"),
        None => bail!(
            "{at}: tensor `{name}` is missing: this is no sliced {} as the reference implementation writes \
             it{}",
            dense.model_type,
            lora(checkpoint)
        ),
    };
    let mut widths = vec![shape(&dense.embedding_entry().name)?[1]];
    for block in 0..dense.layers {
        let entries = dense.block_entries(block);
        let writer = |part: Part| {
            let entry = entries.iter().find(|entry| entry.parts.contains(&(part, Kind::Weight)));
            let entry = entry.expect("every block writes the stream");
            shape(&entry.name).map(|[rows, _]| rows)
        };
        if dense.depth() == 2 {
            widths.push(writer(Part::Output)?);
        }
        widths.push(writer(Part::Down)?);
    }
    Ok(widths)
}

/// What to do about a file that was written after fine-tuning.
fn lora(checkpoint: &Checkpoint) -> &'static str {
    match checkpoint.names().any(|name| name.contains("lora_")) {
        true => "; it holds LoRA adapters: merge them first (`merge_and_unload`), and save that",
        false => "",
    }
}
