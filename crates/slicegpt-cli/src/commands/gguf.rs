//! `slicegpt export gguf`: a model as one file for llama.cpp.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::builder::PossibleValuesParser;
use serde_json::{Value, json};
use slicegpt_checkpoint::{Dtype, Staging};
use slicegpt_gguf::{Export, ExportError, FileType, PRE_TOKENIZERS, Type, Vocabulary};
use slicegpt_hub::ModelId;
use slicegpt_models::DecoderSpec;

use crate::services::gguf::check_apart;
use crate::services::memory;
use crate::services::model::Opened;
use crate::show::output;
use crate::show::progress::{Interrupted, Progress, warn};
use crate::show::size::{show_bytes, show_count};

/// Arguments of `slicegpt export gguf`.
#[derive(clap::Args)]
pub struct Args {
    /// Hugging Face checkpoint directory, GGUF file, or org/name[@revision] on the Hub; dense or
    /// sliced
    model: PathBuf,
    /// File to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Type of the weights: f32, f16, bf16, q8_0, q6_k, q5_k_m, q5_k_s, q5_1, q5_0, q4_k_m, q4_k_s,
    /// q4_1, q4_0, q3_k_l, q3_k_m, q3_k_s or q2_k; norms and biases are f32 [default: as in the
    /// checkpoint]
    #[arg(long = "type", value_name = "TYPE")]
    file_type: Option<FileType>,
    /// Name of the model in the file [default: the name of its directory]
    #[arg(long)]
    name: Option<String>,
    /// Name in llama.cpp of the pre-tokenizer, such as qwen2, if that of tokenizer.json is not
    /// recognised
    #[arg(
        long,
        value_name = "NAME",
        value_parser = PossibleValuesParser::new(PRE_TOKENIZERS),
        hide_possible_values = true
    )]
    pre_tokenizer: Option<String>,
    /// Replace the file if it exists
    #[arg(long)]
    force: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(args: Args) -> Result<ExitCode> {
    let ours = |start: &[u8]| start.starts_with(b"GGUF");
    output::check_free(&args.out, args.force, ours, "GGUF file")?;
    check_apart(&args.out, &args.model)?;
    let opened = Opened::open(&args.model)?;
    let file_type = args.file_type.unwrap_or(match opened.dtype {
        Dtype::F32 => FileType::F32,
        Dtype::F16 => FileType::F16,
        Dtype::Bf16 => FileType::Bf16,
    });
    let spec = &opened.spec;
    let directory = opened.directory();
    let name = args.name.clone().unwrap_or_else(|| directory_name(&directory));
    let pre = args.pre_tokenizer.as_deref();
    let vocabulary = || Vocabulary::read(&directory, spec.vocab_size, pre);
    let at = || args.model.display().to_string();
    // An error about the model comes before one about its tokenizer.
    Export::new(spec, file_type, &name, Vocabulary::default()).with_context(at)?;
    let export = Export::new(spec, file_type, &name, vocabulary()?).with_context(at)?;
    for note in export.notes() {
        warn(format!("{}: {note}", at()));
    }

    memory::reset_peak();
    let staging = Staging::for_file(&args.out, &directory)?;
    let staged = staging.path().join("model.gguf");
    let device = slicegpt_device::OpenDevice::cpu().device;
    let model = opened.model(&device);
    let progress = Progress::start("writing", export.infos().len());
    let rename = |name: &str| model.stored_name(name);
    let source = &opened.checkpoint;
    let written = export.write(&staged, &source, rename, &progress);
    let bytes = match written {
        Err(ExportError::Interrupted) => return Err(Interrupted.into()),
        written => written?,
    };
    progress.finish();
    staging.commit_file("model.gguf")?;
    report(&args, &opened, &export, file_type, bytes)?;
    Ok(ExitCode::SUCCESS)
}

/// The name of a model of the Hub, or the last part of the path.
fn directory_name(directory: &Path) -> String {
    if let Some(id) = ModelId::of_snapshot(directory) {
        return id.rsplit('/').next().unwrap_or(&id).to_string();
    }
    let resolved = directory.canonicalize();
    let name = resolved.as_deref().unwrap_or(directory).file_name();
    name.map_or_else(|| "model".into(), |name| name.to_string_lossy().into_owned())
}

fn report(
    args: &Args,
    opened: &Opened,
    export: &Export,
    file_type: FileType,
    bytes: u64,
) -> Result<()> {
    let parameters = opened.spec.parameters() as u64;
    let tensor_bytes: usize = export.infos().iter().map(slicegpt_gguf::TensorInfo::bytes).sum();
    let bits = tensor_bytes as f64 * 8.0 / parameters as f64;
    let types: Vec<(Type, usize, usize)> =
        export.types().into_iter().map(|(ty, (tensors, values))| (ty, tensors, values)).collect();
    let fallbacks = export.fallbacks();
    let json = json!({
        "out": args.out.to_string_lossy(),
        "bytes": bytes,
        "type": file_type.name(),
        "architecture": export.architecture(),
        "model_type": opened.spec.model_type,
        "params": parameters,
        "bits_per_weight": bits,
        "tensors": export.infos().len(),
        "types": types.iter().map(|(ty, tensors, values)| {
            (ty.name().to_string(), json!({ "tensors": tensors, "values": values }))
        }).collect::<serde_json::Map<String, Value>>(),
        "fallbacks": fallbacks.iter().map(|fallback| json!({
            "tensor": fallback.name,
            "row": fallback.columns,
            "wanted": fallback.wanted.name(),
            "type": fallback.ty.name(),
        })).collect::<Vec<_>>(),
        "warnings": export.notes(),
        "peak_rss_bytes": memory::peak_rss_bytes(),
    });
    let mut rows = vec![
        ("file", vec![args.out.display().to_string()]),
        ("architecture", vec![export.architecture().to_string()]),
        ("type", vec![file_type.name().to_string()]),
        ("bytes", vec![show_bytes(bytes)]),
        ("parameters", vec![show_count(parameters)]),
        ("bits per weight", vec![format!("{bits:.2}")]),
    ];
    for (ty, tensors, values) in &types {
        let share = format!("{tensors} tensors, {} values", show_count(*values as u64));
        rows.push((ty.name(), vec![share]));
    }
    let footer = (!fallbacks.is_empty()).then(|| fallback_note(export, &opened.spec));
    output::print(args.json.then_some(json), &rows, &[], footer.as_deref())
}

/// The number of tensors that fell back to another type, and advice.
fn fallback_note(export: &Export, spec: &DecoderSpec) -> String {
    let fallbacks = export.fallbacks();
    let matrices = export.infos().iter().filter(|info| info.shape.len() == 2).count();
    let step = fallbacks.iter().map(|fallback| fallback.wanted.block()).max().unwrap_or(1);
    let rows: BTreeSet<usize> = fallbacks.iter().map(|fallback| fallback.columns).collect();
    // Slicing changes the widths of the stream and the MLPs, not those of the heads.
    let (can, cannot): (Vec<usize>, Vec<usize>) = rows.iter().partition(|row| {
        **row >= step && [spec.hidden_size, spec.mlp.intermediate_size].contains(row)
    });
    let list = |rows: &[usize]| rows.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
    let rows: Vec<usize> = rows.into_iter().collect();
    let advice = match (can.is_empty(), cannot.is_empty()) {
        (_, true) => format!("Compress the dense model with --align {step} to need none."),
        (false, false) => format!(
            "Compress the dense model with --align {step} to need none but for rows of {}.",
            list(&cannot)
        ),
        (true, false) => {
            "Types in blocks of 32, such as q8_0, suit a model this narrow better.".into()
        }
    };
    format!(
        "{} of {matrices} matrices fell back to a larger type: their rows of {} values are no \
         multiple of {step}.\n{advice}",
        fallbacks.len(),
        list(&rows),
    )
}
