//! `slicegpt eval tasks`: tasks with right answers, as in lm-evaluation-harness.

mod args;
mod ask;
mod report;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};
use slicegpt_checkpoint::{Staging, lies_in};
use slicegpt_tasks::{Encoder, Task, find};

pub use self::args::Args;
use crate::services::generation::load_engine;
use crate::services::model::Opened;
use crate::show::output;
use crate::show::progress::{note, warn};

/// Prepares the log of requests, which must not replace a document or a file that is no log.
fn stage_log(path: &Path, model: &Path, data: &Path) -> Result<Staging> {
    let staging = Staging::for_file(path, model)?;
    let absolute = std::path::absolute(path)?;
    // A link among the documents counts as a document, wherever it points.
    let folder = absolute.parent().unwrap_or(&absolute);
    if lies_in(path, data)? || lies_in(folder, data)? {
        bail!(
            "--log-samples: {} lies among the documents of --data; choose a file elsewhere",
            path.display()
        );
    }
    let ours = |start: &[u8]| start.starts_with(b"{") && output::says(start, "\"arguments\":");
    output::check_ours("--log-samples", path, ours, "log of samples")?;
    Ok(staging)
}

/// Runs it.
pub fn run(args: Args) -> Result<ExitCode> {
    let mut tasks: Vec<&Task> = Vec::new();
    for name in &args.tasks {
        let task = find(name.trim())?;
        if tasks.iter().any(|other| other.name == task.name) {
            bail!("--tasks: {name} is there twice");
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
    let encoder = Encoder::open(&directory, spec.context_length, spec.vocab_size)?;
    // All files are read before the model, so that errors in them are reported at once.
    let read = |task: &&'static Task| ask::questions(task, &args, &encoder);
    let questions = tasks.iter().map(read).collect::<Result<Vec<_>>>()?;
    for of_task in questions.iter().filter(|of_task| of_task.lacks_subjects()) {
        warn(format!(
            "{}: {} says no `subject`: asked without the line that names it, with examples of any, \
             and not scored by subject; the harness does all three",
            of_task.task.name,
            of_task.files.0.display()
        ));
    }
    let target = args.running.open()?;
    let (engine, weights) = load_engine(opened, &target, args.weights.map(Into::into))?;
    let mut answered = Vec::with_capacity(questions.len());
    for of_task in questions {
        answered.push(ask::answer(of_task, &engine, &target, &directory)?);
    }
    for task in &answered {
        if task.skipped() > 0 {
            warn(format!(
                "{}: {} documents are left out: an answer of theirs is longer than the {} tokens \
                 the model sees",
                task.task.name,
                task.skipped(),
                spec.context_length
            ));
        }
        let truncated = task.truncated();
        if truncated > 0 {
            warn(format!(
                "{}: {truncated} of {} documents are longer than the {} tokens the model sees; \
                 their beginnings were left away",
                task.task.name,
                task.documents(),
                spec.context_length
            ));
        }
    }
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
