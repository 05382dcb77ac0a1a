//! `slicegpt eval kl`: the divergence of the predictions of a model from those of another.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use serde_json::json;
use slicegpt_corpus::Samples;
use slicegpt_eval::divergence;

use crate::args::options::positive;
use crate::args::running::Running;
use crate::args::text::Cutting;
use crate::commands::ppl::{Found, eval_error, inputs, print};
use crate::services::device::{Batches, Target};
use crate::services::model::Opened;
use crate::show::progress::Progress;
use crate::show::size::show_percent;

/// Arguments of `slicegpt eval kl`.
#[derive(clap::Args)]
#[group(id = "input", required = true, multiple = false, args = ["text", "tokens"])]
pub struct Args {
    /// Model to compare with, usually the dense one: Hugging Face checkpoint directory, GGUF
    /// file, or org/name[@revision] on the Hub
    base: PathBuf,
    /// Model to evaluate, with the same tokenizer: Hugging Face checkpoint directory, GGUF
    /// file, or org/name[@revision] on the Hub
    model: PathBuf,
    /// Text to compare on: plain, JSONL or Parquet. May be given several times: each has a result
    /// of its own
    #[arg(long, value_name = "FILE")]
    text: Vec<PathBuf>,
    /// Token ids to compare on
    #[arg(long, value_name = "FILE.safetensors[:TENSOR]")]
    tokens: Option<String>,
    #[command(flatten)]
    cutting: Cutting,
    #[command(flatten)]
    running: Running,
    /// Compare on the first N sequences only
    #[arg(long, value_name = "N", value_parser = positive)]
    max_samples: Option<usize>,
    /// Print one JSON object, or a list of one for each of several texts
    #[arg(long)]
    json: bool,
}

/// The protocol: what the numbers mean.
pub const PROTOCOL: &str = "KL(base || model) of the distributions over the next token, at every \
                            token of every sequence; mean over sequences, with its standard \
                            error over sequences.";

/// Runs it.
pub fn run(args: Args) -> Result<ExitCode> {
    let [base, model] = [Opened::open(&args.base)?, Opened::open(&args.model)?];
    let [ours, theirs] = [&model, &base].map(|opened| opened.spec.vocab_size);
    if ours != theirs {
        bail!(
            "{} has {ours} token ids and {} has {theirs}: only models over one vocabulary can be \
             compared",
            args.model.display(),
            args.base.display()
        );
    }
    let target = args.running.open()?;
    let texts = inputs(&args.text);
    let read = |text: &Option<&Path>| {
        args.cutting.evaluation(&base, *text, args.tokens.as_deref(), args.max_samples)
    };
    let samples: Vec<Samples> = texts.iter().map(read).collect::<Result<_>>()?;
    if samples.iter().any(|samples| samples.seqlen() > model.spec.context_length) {
        bail!(
            "{} takes {} tokens at most; give --seqlen",
            args.model.display(),
            model.spec.context_length
        );
    }
    let found = texts.iter().zip(&samples);
    let found =
        found.map(|(text, samples)| compare(&args, [&base, &model], samples, &target, *text));
    print(found.collect::<Result<_>>()?, args.json)?;
    Ok(ExitCode::SUCCESS)
}

/// Compares two models on one text.
fn compare<'t>(
    args: &Args,
    [base, model]: [&Opened; 2],
    samples: &Samples,
    target: &Target,
    text: Option<&'t Path>,
) -> Result<Found<'t>> {
    let Batches { batches, lanes } = target.batches(&base.spec, samples);
    let steps = batches.len() * (base.spec.layers + model.spec.layers);
    let progress = Progress::start("comparing", steps);
    target.doing(format!("comparing {} sequences of {}", samples.count(), samples.seqlen()));
    let found = target.run(|| {
        let [base, model] = [base, model].map(|opened| opened.model(&target.device));
        let found = divergence(&base, &model, &batches, &lanes, &progress);
        found.map_err(|error| eval_error(error, &args.model))
    });
    progress.finish();
    let found = found?;
    let json = json!({
        "model": args.model.to_string_lossy(),
        "base": args.base.to_string_lossy(),
        "text": text.map(Path::to_string_lossy).or(args.tokens.as_deref().map(Into::into)),
        "kl": found.mean,
        "kl_standard_error": found.standard_error,
        "top1_agreement": found.agreement,
        "tokens": found.tokens,
        "samples": found.samples,
        "seqlen": samples.seqlen(),
        "protocol": PROTOCOL,
        "device": target.info.name.to_string(),
    });
    let rows = vec![
        ("KL per token, nats", format!("{:.5} +- {:.5}", found.mean, found.standard_error)),
        ("same most likely token", show_percent(found.agreement)),
        ("tokens compared", found.tokens.to_string()),
        ("sequences", format!("{} x {} tokens", found.samples, samples.seqlen())),
    ];
    Ok(Found { text, json, rows, protocol: PROTOCOL.into() })
}
