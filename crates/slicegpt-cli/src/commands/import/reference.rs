//! `slicegpt import DIR --base MODEL`: converts a model that the reference implementation sliced.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde_json::json;
use slicegpt_checkpoint::{Checkpoint, Dtype, Reference, Staging, is_companion};
use slicegpt_core::Widths;
use slicegpt_hub::Need;
use slicegpt_models::{DecoderSpec, Kind, Part};
use slicegpt_provenance::{CalibrationRecord, Manifest, Method, Orientation};

use super::weights::write_weights;
use crate::args::options::DtypeName;
use crate::commands::plan::refuse_sliced;
use crate::services::files::finish;
use crate::services::hub::located;
use crate::services::model::{Described, Opened};
use crate::show::output;
use crate::show::progress::{self, note};
use crate::show::size::{parse_bytes, show_bytes, show_count, show_percent, show_widths};

/// The epsilon of norms in the reference implementation, whatever the config of the model says.
const EPS: f64 = 1e-5;

/// Arguments of `slicegpt import` for the reference implementation.
#[derive(clap::Args)]
pub struct Args {
    /// Directory with the NAME_SPARSITY.pt and NAME_SPARSITY.json of one model, or the .pt file
    reference: PathBuf,
    /// The dense model it was made from: Hugging Face checkpoint directory, GGUF file, or
    /// org/name[@revision] on the Hub. Its config, tokenizer and licence are taken, its weights are
    /// not needed
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

/// A sliced model of the reference implementation, checked.
struct Import {
    reference: Reference,
    /// The dense model.
    described: Described,
    staging: Staging,
    /// The sliced model.
    opened: Opened,
    dtype: Dtype,
}

/// Runs it.
pub fn run(args: Args) -> Result<ExitCode> {
    let import = Import::new(&args)?;
    let Opened { spec, checkpoint, .. } = &import.opened;
    let layout = (import.dtype, args.max_shard_size);
    let written = write_weights(checkpoint, spec, &import.staging, layout)?;
    let manifest = import.manifest();
    let Import { reference, described, staging, opened, dtype } = import;
    finish(&staging, &described, &opened.spec, dtype, &manifest, None)?;
    progress::check()?;
    staging.commit()?;

    let json = json!({
        "out": args.out.to_string_lossy(),
        "reference": reference.weights,
        "base": args.base.to_string_lossy(),
        "method": manifest.method,
        "nominal_sparsity": manifest.nominal_sparsity,
        "real_reduction": manifest.real_reduction,
        "params_before": manifest.params_before,
        "params_after": manifest.params_after,
        "bytes_after": written.tensor_bytes,
        "dtype": dtype.torch_name(),
        "files": written.files,
        "widths": manifest.widths,
    });
    let [before, after] = [manifest.params_before, manifest.params_after].map(show_count);
    let widths = show_widths(&manifest.widths);
    let mut rows = vec![
        ("imported from", vec![reference.weights.display().to_string()]),
        ("real reduction", vec![show_percent(manifest.real_reduction)]),
        ("parameters", vec![format!("{after} of {before}")]),
        ("bytes", vec![show_bytes(written.tensor_bytes)]),
        ("stream width", vec![format!("{widths} of {}", described.spec.hidden_size)]),
    ];
    if let Some(nominal) = manifest.nominal_sparsity {
        rows.insert(1, ("nominal sparsity", vec![show_percent(nominal)]));
    }
    output::print(args.json.then_some(json), &rows, &[], None)?;
    note(format!("wrote {}", args.out.display()));
    Ok(ExitCode::SUCCESS)
}

impl Import {
    /// Checks everything that can be checked before a tensor is read.
    fn new(args: &Args) -> Result<Self> {
        let reference = Reference::open(&args.reference)?;
        let base = located(&args.base, Need::Companions(is_companion))?;
        let described = Described::read(&base)?;
        refuse_sliced(&described)?;
        let staging = Staging::new(&args.out, Some(&base), args.force)?;
        let checkpoint = Checkpoint::from_file(described.config.clone(), &reference.weights)?;
        let dense = &described.spec;
        let widths = widths(dense, &checkpoint)?;
        reference.check_sizes(
            dense.hidden_size,
            dense.layers,
            dense.sublayers_per_block(),
            &widths,
        )?;
        let at = || reference.weights.display().to_string();
        let widths = Widths::new(widths, dense.cuts(), dense.hidden_size).with_context(at)?;
        let mut sliced = dense.in_per_layer_bases(widths);
        sliced.norm.eps = EPS;
        let opened = Opened::of(sliced, checkpoint)?;
        let dtype = args.dtype.map_or(opened.dtype, Dtype::from);
        Ok(Self { reference, described, staging, opened, dtype })
    }

    fn manifest(&self) -> Manifest {
        let Self { reference, described, opened, .. } = self;
        let sliced = &opened.spec;
        let [before, after] = [&described.spec, sliced].map(|spec| spec.parameters() as u64);
        let file = reference.weights.file_name().unwrap_or_default();
        Manifest {
            format: Manifest::FORMAT,
            method: Method::PerLayer,
            stock: false,
            widths: (0..sliced.cuts()).map(|cut| sliced.width(cut)).collect(),
            intermediate_size: None,
            intermediate_sizes: None,
            removed_layers: Vec::new(),
            kv_heads: None,
            refit: None,
            tried: Vec::new(),
            imported: Some(file.to_string_lossy().into_owned()),
            nominal_sparsity: reference.sparsity,
            real_reduction: 1.0 - after as f64 / before as f64,
            params_before: before,
            params_after: after,
            orientation: Orientation::Unknown,
            seed: 0,
            calibration: CalibrationRecord {
                source: "unknown".into(),
                digest: String::new(),
                samples: 0,
                seqlen: 0,
                tokens: 0,
                texts: Vec::new(),
            },
            tool_version: format!("slicegpt {}", env!("CARGO_PKG_VERSION")),
        }
    }
}

/// The width of the stream at every cut, from the shapes of the embedding and of the last writer of
/// each sublayer.
fn widths(dense: &DecoderSpec, checkpoint: &Checkpoint) -> Result<Vec<usize>> {
    let at = checkpoint.directory().display();
    let shape = |name: &str| match checkpoint.shape(name) {
        Some([rows, columns]) => Ok([*rows, *columns]),
        Some(other) => bail!("{at}: tensor `{name}` has shape {other:?}, expected a matrix"),
        None => bail!(
            "{at}: tensor `{name}` is missing: this is not a sliced {} as the reference \
             implementation writes it{}",
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
        if dense.sublayers_per_block() == 2 {
            widths.push(writer(Part::Output)?);
        }
        widths.push(writer(Part::Down)?);
    }
    Ok(widths)
}

/// Advice about a file that was written after fine-tuning.
fn lora(checkpoint: &Checkpoint) -> &'static str {
    if checkpoint.names().any(|name| name.contains("lora_")) {
        "; it holds LoRA adapters: merge them first (`merge_and_unload`), and save that"
    } else {
        ""
    }
}
