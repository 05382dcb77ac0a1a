//! `slicegpt eval ppl`: perplexity, with its protocol.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, anyhow};
use serde_json::{Value, json};
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
    /// Text to score: plain, JSONL or Parquet. May be given several times: each has a result of
    /// its own
    #[arg(long, value_name = "FILE")]
    text: Vec<PathBuf>,
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
    /// Print one JSON object, or a list of one for each of several texts
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(args: Args) -> Result<ExitCode> {
    let opened = Opened::open(&args.model)?;
    let target = args.running.open()?;
    let texts = inputs(&args.text);
    // All are read before the first is scored.
    let read = |text: &Option<&Path>| {
        args.cutting.evaluation(&opened, *text, args.tokens.as_deref(), args.max_samples)
    };
    let samples: Vec<Samples> = texts.iter().map(read).collect::<Result<_>>()?;
    let mut found = Vec::new();
    for (text, samples) in texts.iter().zip(&samples) {
        let result = score(&opened, samples, &target, args.ignore_token_id)?;
        let protocol = protocol(*text, samples, args.ignore_token_id);
        let name = text.map(Path::to_string_lossy);
        let json = json!({
            "model": args.model.to_string_lossy(),
            "text": name.or(args.tokens.as_deref().map(Into::into)),
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
            ("perplexity", format!("{:.4}", result.perplexity)),
            ("NLL per token", format!("{:.4} +- {:.4}", result.nll, result.standard_error)),
            ("labels scored", result.tokens.to_string()),
            ("sequences", format!("{} x {} tokens", result.samples, result.seqlen)),
        ];
        found.push(Found { text: *text, json, rows, protocol });
    }
    print(found, args.json)?;
    Ok(ExitCode::SUCCESS)
}

/// What is scored: each text, or else the token ids.
pub fn inputs(texts: &[PathBuf]) -> Vec<Option<&Path>> {
    match texts {
        [] => vec![None],
        texts => texts.iter().map(|text| Some(text.as_path())).collect(),
    }
}

/// What was found on one text.
pub struct Found<'a> {
    pub text: Option<&'a Path>,
    pub json: Value,
    pub rows: Vec<(&'static str, String)>,
    pub protocol: String,
}

/// Prints a column for each text, or its JSON: that of several texts is the list `texts`.
pub fn print(mut found: Vec<Found<'_>>, json: bool) -> Result<()> {
    if json {
        let mut all: Vec<Value> = found.drain(..).map(|found| found.json).collect();
        let json = match all.len() {
            1 => all.remove(0),
            _ => json!({ "texts": all }),
        };
        return output::print(Some(json), &[], &[], None);
    }
    let names = found.iter().map(|found| found.text.map(|text| text.display().to_string()));
    let header: Vec<String> =
        std::iter::once(String::new()).chain(names.map(Option::unwrap_or_default)).collect();
    let header: Vec<&str> = match found.len() {
        1 => Vec::new(),
        _ => header.iter().map(String::as_str).collect(),
    };
    // All texts have the same rows.
    let names: Vec<&str> =
        found.iter().take(1).flat_map(|found| &found.rows).map(|row| row.0).collect();
    let values = |at: usize| {
        let row = |found: &Found<'_>| Some(found.rows.get(at)?.1.clone());
        found.iter().filter_map(row).collect()
    };
    let rows: Vec<(&str, Vec<String>)> =
        names.into_iter().enumerate().map(|(at, name)| (name, values(at))).collect();
    // Plain texts and conversations in one table have different protocols.
    let mut protocols: Vec<&str> = found.iter().map(|found| found.protocol.as_str()).collect();
    protocols.dedup();
    output::print(None, &rows, &header, Some(&protocols.join("\n")))
}

/// The protocol: what the numbers mean.
pub fn protocol(text: Option<&Path>, samples: &Samples, ignore_token_id: Option<u32>) -> String {
    let is_text = text.is_some_and(|path| !is_token_file(&path.to_string_lossy()));
    let source = match (is_text, samples.are_from_chat()) {
        (true, false) => {
            "text joined by blank lines, tokenised once, cut without overlap, rest dropped"
        }
        (true, true) => {
            "conversations as their chat template writes them, one after the other, tokenised \
             once, cut without overlap, rest dropped"
        }
        (false, _) => "token ids as given",
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
