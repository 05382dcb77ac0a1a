//! `slicegpt logits`: the logits of a model, as a safetensors file.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use slicegpt_checkpoint::{Dtype, Staging, Writer};
use slicegpt_eval::{EvalError, logits};

use crate::args::running::Running;
use crate::args::text::Cutting;
use crate::commands::ppl::eval_error;
use crate::services::device::Batches;
use crate::services::model::Opened;
use crate::show::output::{self, says};
use crate::show::progress::{Progress, note};

/// Arguments of `slicegpt logits`.
#[derive(clap::Args)]
pub struct Args {
    /// Hugging Face checkpoint directory, GGUF file, or org/name[@revision] on the Hub; dense or
    /// sliced
    model: PathBuf,
    /// Token ids
    #[arg(long, value_name = "FILE.safetensors[:TENSOR]")]
    tokens: String,
    /// File to write: float32 safetensors, tensor `logits`, [samples, tokens, vocabulary]
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    cutting: Cutting,
    #[command(flatten)]
    running: Running,
}

/// Runs it.
pub fn run(args: Args) -> Result<ExitCode> {
    let opened = Opened::open(&args.model)?;
    let target = args.running.open()?;
    let samples = args.cutting.evaluation(&opened, None, Some(&args.tokens), None)?;
    let tokens = args.tokens.split(".safetensors").next().unwrap_or_default();
    let tokens = PathBuf::from(format!("{tokens}.safetensors")).canonicalize();
    if tokens.is_ok() && tokens.ok() == args.out.canonicalize().ok() {
        bail!("{}: holds the tokens; choose another --out", args.out.display());
    }
    let staging = Staging::for_file(&args.out, &opened.directory())?;
    let ours = |start: &[u8]| says(start, "\"logits\":");
    output::check_ours("--out", &args.out, ours, "file of logits")?;
    let shape = vec![samples.count(), samples.seqlen(), opened.spec.vocab_size];
    let tensors = vec![("logits".to_string(), shape)];
    let mut writer = Writer::create(staging.path(), tensors, Dtype::F32, u64::MAX)?;

    let Batches { batches, lanes } = target.batches(&opened.spec, &samples);
    let progress = Progress::start("running", batches.len() * opened.spec.layers);
    target.run(|| {
        let model = opened.model(&target.device);
        let mut unwritten = None;
        let written = logits(&model, &batches, &lanes, &progress, |values| {
            writer.write("logits", &values).map_err(|error| {
                unwritten = Some(error);
                EvalError::Interrupted
            })
        });
        match unwritten {
            Some(error) => Err(error.into()),
            None => written.map_err(|error| eval_error(error, &args.model)),
        }
    })?;
    progress.finish();
    let written = writer.finish()?;
    staging.commit_file(&written.files[0])?;
    note(format!("wrote {}", args.out.display()));
    Ok(ExitCode::SUCCESS)
}
