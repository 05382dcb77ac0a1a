//! `slicegpt eval ppl`: perplexity, with its protocol.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, anyhow};
use serde_json::json;
use slicegpt_corpus::{Samples, is_token_file};
use slicegpt_eval::{EvalError, Perplexity, perplexity};

use crate::args::options::positive;
use crate::args::running::Running;
use crate::args::text::Cutting;
use crate::services::device::{Batches, Target};
use crate::services::model::Opened;
use crate::show::output;
use crate::show::progress::{Interrupted, Progress};

/// Arguments of `slicegpt eval ppl`.
#[derive(clap::Args)]
#[group(id = "input", required = true, multiple = false, args = ["text", "tokens"])]
pub struct Args {
    /// Hugging Face checkpoint directory, GGUF file, or org/name[@revision] on the Hub; dense or
    /// sliced
    model: PathBuf,
    /// Text to score: plain, JSONL or Parquet
    #[arg(long, value_name = "FILE")]
    text: Option<PathBuf>,
    /// Token ids to score
    #[arg(long, value_name = "FILE.safetensors[:TENSOR]")]
    tokens: Option<String>,
    #[command(flatten)]
    cutting: Cutting,
    #[command(flatten)]
    running: Running,
    /// Score the first N sequences only
    #[arg(long, value_name = "N", value_parser = positive)]
    max_samples: Option<usize>,
    /// Do not score labels equal to this token (the reference implementation skips the pad token)
    #[arg(long, value_name = "ID")]
    ignore_token_id: Option<u32>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(args: Args) -> Result<ExitCode> {
    let opened = Opened::open(&args.model)?;
    let target = args.running.open()?;
    let samples = args.cutting.evaluation(
        &opened,
        args.text.as_deref(),
        args.tokens.as_deref(),
        args.max_samples,
    )?;
    let result = score(&opened, &samples, &target, args.ignore_token_id)?;
    let protocol = protocol(args.text.as_deref(), args.ignore_token_id);
    let text = args.text.as_deref().map(Path::to_string_lossy);
    let json = json!({
        "model": args.model.to_string_lossy(),
        "text": text.or(args.tokens.as_deref().map(Into::into)),
        "perplexity": result.perplexity,
        "nll": result.nll,
        "nll_standard_error": result.standard_error,
        "tokens": result.tokens,
        "samples": result.samples,
        "seqlen": result.seqlen,
        "protocol": protocol,
        "device": target.info.name.to_string(),
    });
    let rows = vec![
        ("perplexity", vec![format!("{:.4}", result.perplexity)]),
        ("NLL per token", vec![format!("{:.4} +- {:.4}", result.nll, result.standard_error)]),
        ("labels scored", vec![result.tokens.to_string()]),
        ("sequences", vec![format!("{} x {} tokens", result.samples, result.seqlen)]),
    ];
    output::print(args.json.then_some(json), &rows, &[], Some(&protocol))?;
    Ok(ExitCode::SUCCESS)
}

/// The protocol: what the numbers mean.
pub fn protocol(text: Option<&Path>, ignore_token_id: Option<u32>) -> String {
    let source = match text.is_some_and(|path| !is_token_file(&path.to_string_lossy())) {
        true => "text joined by blank lines, tokenised once, cut without overlap, rest dropped",
        false => "token ids as given",
    };
    let ignored = match ignore_token_id {
        Some(id) => format!(", labels equal to {id} skipped"),
        None => String::new(),
    };
    format!(
        "Protocol: {source}; no BOS added to chunks; every token but the first of a sequence is a \
         label{ignored}; exp of the mean over sequences of the mean NLL."
    )
}

/// The perplexity of a model on samples.
pub fn score(
    opened: &Opened,
    samples: &Samples,
    target: &Target,
    ignore_token_id: Option<u32>,
) -> Result<Perplexity> {
    let Batches { batches, lanes } = target.batches(&opened.spec, samples);
    let progress = Progress::start("evaluating", batches.len() * opened.spec.layers);
    target.doing(format!("scoring {} sequences of {}", samples.count(), samples.seqlen()));
    let result = target.run(|| {
        let model = opened.model(&target.device);
        let result = perplexity(&model, &batches, &lanes, ignore_token_id, &progress);
        result.map_err(|error| eval_error(error, &opened.directory()))
    });
    progress.finish();
    result
}

/// An error of an evaluation as an error of the command: with the model or the options in question.
pub fn eval_error<E>(error: EvalError<E>, model: &Path) -> anyhow::Error
where
    E: std::error::Error + Send + Sync + 'static,
{
    match error {
        EvalError::Interrupted => Interrupted.into(),
        EvalError::NotFinite => anyhow!("{}: {error}", model.display()),
        EvalError::Nothing => anyhow!("{error}; see --seqlen and --ignore-token-id"),
        EvalError::Decoder(_) => error.into(),
    }
}
