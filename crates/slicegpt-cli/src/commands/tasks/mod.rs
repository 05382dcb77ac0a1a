//! `slicegpt eval tasks`: benchmark tasks, scored as in lm-evaluation-harness.

mod args;
mod ask;
mod report;

use std::io::ErrorKind;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use slicegpt_checkpoint::{Staging, lies_in};
use slicegpt_corpus::Vocabulary;
use slicegpt_tasks::{Encoder, Task, find};

pub use self::args::Args;
use self::ask::TaskRun;
use crate::services::generation::load_engine;
use crate::services::model::Opened;
use crate::show::output;
use crate::show::progress::{note, warn};

/// Prepares the file of `--log-samples`, which may replace an older log but no other file.
fn stage_log(path: &Path, model: &Path, data: &Path) -> Result<Staging> {
    let staging = Staging::for_file(path, model)?;
    let absolute = std::path::absolute(path)?;
    // A symbolic link inside the data directory counts as part of it, wherever it leads.
    let folder = absolute.parent().unwrap_or(&absolute);
    if lies_in(path, data)? || lies_in(folder, data)? {
        bail!(
            "--log-samples: {} is inside the directory of --data; choose another place",
            path.display()
        );
    }
    let ours = |start: &[u8]| start.starts_with(b"{") && output::says(start, "\"arguments\":");
    output::check_ours("--log-samples", path, ours, "log of samples")?;
    Ok(staging)
}

/// The `tokenizer_config.json` of a checkpoint; null if there is none.
fn tokenizer_config(directory: &Path) -> Result<Value> {
    let path = directory.join("tokenizer_config.json");
    let place = || path.display().to_string();
    match slicegpt_limits::read(&path, slicegpt_limits::MAX_DESCRIPTION) {
        Ok(bytes) => serde_json::from_slice(&bytes).with_context(place),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Value::Null),
        Err(error) => Err(error).with_context(place),
    }
}

/// Runs the command.
pub fn run(args: Args) -> Result<ExitCode> {
    let mut tasks: Vec<&Task> = Vec::new();
    for name in &args.tasks {
        let task = find(name.trim())?;
        if tasks.iter().any(|other| other.name == task.name) {
            bail!("--tasks: {name} is given twice");
        }
        tasks.push(task);
    }
    let opened = Opened::open(&args.model)?;
    let directory = opened.directory();
    let staging = match &args.log_samples {
        Some(path) => Some((path, stage_log(path, &directory, &args.data)?)),
        None => None,
    };
    let spec = opened.spec.clone();
    let vocabulary = Vocabulary::open(&directory)?;
    let config = tokenizer_config(&directory)?;
    let encoder = Encoder::new(vocabulary, &config, spec.context_length, spec.vocab_size);
    // Read all data files before the model: errors in them are reported at once.
    let read = |task: &&'static Task| ask::questions(task, &args, &encoder);
    let runs = tasks.iter().map(read).collect::<Result<Vec<_>>>()?;
    runs.iter().for_each(warn_if_without_subjects);
    let target = args.running.open()?;
    let (engine, weights) = load_engine(opened, &target, args.weights.map(Into::into))?;
    let mut answered = Vec::with_capacity(runs.len());
    for run in runs {
        answered.push(ask::answer(run, &engine, &target, &directory)?);
    }
    answered.iter().for_each(|run| warn_if_too_long(run, spec.context_length));
    if let Some((path, staging)) = staging {
        report::log(&staging.path().join("samples.jsonl"), &answered)?;
        staging.commit_file("samples.jsonl")?;
        note(format!("wrote {}", path.display()));
    }
    let (rows, json) = report::report(&answered, &args, &target, weights);
    let header = ["task", "version", "metric", "value", "stderr", "n", "n-shot"];
    let rows: Vec<(&str, Vec<String>)> =
        rows.iter().map(|(name, cells)| (name.as_str(), cells.clone())).collect();
    output::print(args.json.then_some(json), &rows, &header, Some(&report::protocol()))?;
    Ok(ExitCode::SUCCESS)
}

fn warn_if_without_subjects(run: &TaskRun) {
    if run.lacks_subjects() {
        warn(format!(
            "{}: {} has no field `subject`: the line that names the subject is left out, examples \
             come from any subject, and there are no scores by subject; the harness has all three",
            run.task.name,
            run.files.0.display()
        ));
    }
}

fn warn_if_too_long(run: &TaskRun, context_length: usize) {
    let (name, skipped, truncated) = (run.task.name, run.skipped(), run.truncated());
    if skipped > 0 {
        warn(format!(
            "{name}: {skipped} documents are left out: one of their answers is longer than the \
             {context_length} tokens the model sees"
        ));
    }
    if truncated > 0 {
        warn(format!(
            "{name}: {truncated} of {} documents are longer than the {context_length} tokens the \
             model sees; their beginnings were cut off",
            run.documents()
        ));
    }
}
