//! `slicegpt import gguf`: a GGUF file of llama.cpp as a checkpoint.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::builder::PossibleValuesParser;
use serde_json::{Value, json};
use slicegpt_checkpoint::{Dtype, Staging, Written};
use slicegpt_gguf::{Import, PRE_TOKENIZERS};

use super::weights::write_weights;
use crate::args::options::DtypeName;
use crate::args::writing::Writing;
use crate::services::gguf::{dtype_of, refused_tokenizer};
use crate::services::memory;
use crate::show::output;
use crate::show::progress::{self, note, warn};
use crate::show::size::{show_bytes, show_count};

/// Arguments of `slicegpt import gguf`.
#[derive(clap::Args)]
pub struct Args {
    /// The GGUF file; of a split model, any part
    file: PathBuf,
    /// Directory to write; it appears only when it is complete
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Type to write weights as [default: that of most weights in the file; f16 if they are
    /// quantised]
    #[arg(long, value_enum)]
    dtype: Option<DtypeName>,
    /// Name in llama.cpp of the pre-tokenizer, such as qwen2, if that in the file is missing, wrong
    /// or not known
    #[arg(
        long,
        value_name = "NAME",
        value_parser = PossibleValuesParser::new(PRE_TOKENIZERS),
        hide_possible_values = true
    )]
    pre_tokenizer: Option<String>,
    #[command(flatten)]
    writing: Writing,
}

/// Runs it.
pub fn run(args: Args) -> Result<ExitCode> {
    memory::reset_peak();
    let import = Import::open(&args.file)?;
    let tokenizer = match import.tokenizer(args.pre_tokenizer.as_deref()) {
        Err(error) => refused_tokenizer(error)?,
        Ok(tokenizer) => tokenizer,
    };
    for note in &tokenizer.notes {
        warn(format!("{}: {note}", args.file.display()));
    }
    let dtype = args.dtype.map_or_else(|| dtype_of(&import), Dtype::from);
    let staging = Staging::new(&args.out, Some(&args.file), args.writing.force)?;
    let layout = (dtype, args.writing.max_shard_size);
    let written = write_weights(&import, import.spec(), &staging, layout)?;
    let mut config = import.config().clone();
    config["torch_dtype"] = dtype.torch_name().into();
    let put = |name: &str, json: &Value| {
        let path = staging.path().join(name);
        let text = serde_json::to_string_pretty(json).expect("it is JSON already");
        std::fs::write(&path, text + "\n").with_context(|| path.display().to_string())
    };
    tokenizer.files.iter().try_for_each(|(name, json)| put(name, json))?;
    put("config.json", &config)?;
    progress::check()?;
    staging.commit()?;
    report(&args, &import, dtype, &written)?;
    note(format!("wrote {}", args.out.display()));
    Ok(ExitCode::SUCCESS)
}

fn report(args: &Args, import: &Import, dtype: Dtype, written: &Written) -> Result<()> {
    let mut types: BTreeMap<&str, (usize, u64)> = BTreeMap::new();
    for tensor in import.tensors() {
        let (tensors, values) = types.entry(tensor.ty).or_default();
        *tensors += 1;
        *values += tensor.shape.iter().product::<usize>() as u64;
    }
    let spec = import.spec();
    let parameters = spec.parameters() as u64;
    let json = json!({
        "out": args.out.to_string_lossy(),
        "gguf": args.file.to_string_lossy(),
        "parts": import.files().count(),
        "model_type": spec.model_type,
        "params": parameters,
        "dtype": dtype.torch_name(),
        "bytes": written.tensor_bytes,
        "files": written.files,
        "types": types.iter().map(|(ty, (tensors, values))| {
            (ty.to_string(), json!({ "tensors": tensors, "values": values }))
        }).collect::<serde_json::Map<String, Value>>(),
        "peak_rss_bytes": memory::peak_rss_bytes(),
    });
    let mut rows = vec![
        ("imported from", vec![args.file.display().to_string()]),
        ("model type", vec![spec.model_type.to_string()]),
        ("parameters", vec![show_count(parameters)]),
    ];
    for (ty, (tensors, values)) in &types {
        rows.push((ty, vec![format!("{tensors} tensors, {} values", show_count(*values))]));
    }
    let bytes = show_bytes(written.tensor_bytes);
    rows.push(("written as", vec![format!("{dtype}, {bytes}")]));
    output::print(args.writing.json.then_some(json), &rows, &[], None)
}
