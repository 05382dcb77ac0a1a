//! Scores as a table, as JSON, and document by document.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use slicegpt_checkpoint::Dtype;
use slicegpt_tasks::{HARNESS, ItemForm, SEED, Scores, Task};

use super::args::{Args, Limit};
use super::ask::{Question, SubtaskRun, TaskRun};
use crate::services::device::Target;

/// The protocol: what the numbers mean.
pub fn protocol() -> String {
    format!(
        "Prompts and metrics of lm-evaluation-harness {HARNESS}: acc by the sum of log-likelihoods \
         of an answer's tokens, acc_norm by that sum over the answer's characters; lambada_openai: \
         acc where the word is the greedy one, perplexity per word. stderr: of the mean; of a \
         perplexity by bootstrap."
    )
}

/// The rows of the table and the JSON object.
pub fn report(
    answered: &[TaskRun],
    args: &Args,
    target: &Target,
    weights: Dtype,
) -> (Vec<(String, Vec<String>)>, Value) {
    let mut rows = Vec::new();
    let mut tables: [Map<String, Value>; 7] = Default::default();
    let [results, versions, shots, samples, better, truncated, skipped] = &mut tables;
    let mut add =
        |task: &Task, name: &str, version: &str, scores: &Scores, [cut, out, all]: [usize; 3]| {
            results.insert(name.into(), result(name, scores));
            versions.insert(name.into(), version.parse::<f64>().map_or(Value::Null, Value::from));
            shots.insert(name.into(), args.num_fewshot.into());
            samples.insert(name.into(), json!({"original": all, "effective": scores.items}));
            let higher =
                task.metrics.iter().map(|m| (m.name().into(), m.higher_is_better().into()));
            better.insert(name.into(), Value::Object(higher.collect()));
            truncated.insert(name.into(), cut.into());
            skipped.insert(name.into(), out.into());
            for value in &scores.values {
                let error = value.error.map_or("-".into(), |error| format!("{error:.4}"));
                let metric = value.metric.name().to_string();
                let cells = [version.into(), metric, format!("{:.4}", value.value), error];
                let sizes = [scores.items.to_string(), args.num_fewshot.to_string()];
                rows.push((name.to_string(), cells.into_iter().chain(sizes).collect()));
            }
        };
    let mut groups = Vec::new();
    for run in answered {
        let task = run.task;
        let scores: Vec<Scores> = run.subtasks.iter().map(|run| run.scores(task)).collect();
        for group in &run.groups {
            let members: Vec<&Scores> = group.subtasks.iter().map(|i| &scores[*i]).collect();
            let subtasks = || group.subtasks.iter().map(|i| &run.subtasks[*i]);
            let cut = subtasks().map(SubtaskRun::truncated).sum();
            let out = subtasks().map(|subtask| subtask.skipped).sum();
            let all = subtasks().map(|subtask| subtask.original).sum();
            add(task, &group.name, group.version, &Scores::pooled(&members), [cut, out, all]);
            groups.push(group.name.clone());
        }
        for (subtask, scores) in run.subtasks.iter().zip(&scores) {
            let counts = [subtask.truncated(), subtask.skipped, subtask.original];
            add(task, &subtask.name, task.version, scores, counts);
        }
    }
    let groups: Map<String, Value> =
        groups.into_iter().map(|name| (name.clone(), results[&name].clone())).collect();
    let [results, versions, shots, samples, better, truncated, skipped] = tables;
    let json = json!({
        "results": results,
        "groups": groups,
        "versions": versions,
        "n-shot": shots,
        "n-samples": samples,
        "higher_is_better": better,
        "truncated": truncated,
        "skipped": skipped,
        "files": Value::Object(answered.iter().map(files).collect()),
        "config": {
            "model": args.model.to_string_lossy(),
            "limit": limit(args),
            "num_fewshot": args.num_fewshot,
            "fewshot_seed": SEED,
        },
        "harness": format!("lm-evaluation-harness {HARNESS}"),
        "protocol": protocol(),
        "device": target.info.name.to_string(),
        "weights": weights.to_string(),
    });
    (rows, json)
}

/// The files of a task, by its name.
fn files(run: &TaskRun) -> (String, Value) {
    let (documents, examples) = &run.files;
    let examples = examples.as_ref().map(|path| path.to_string_lossy());
    let files = json!({"documents": documents.to_string_lossy(), "examples": examples});
    (run.task.name.to_string(), files)
}

fn limit(args: &Args) -> Value {
    match args.limit {
        Some(Limit::First(count)) => json!(count),
        Some(Limit::Fraction(part)) => json!(part),
        None => Value::Null,
    }
}

/// The metrics of a task, by their names in lm-evaluation-harness.
fn result(name: &str, scores: &Scores) -> Value {
    let mut result = Map::new();
    result.insert("alias".into(), name.into());
    for value in &scores.values {
        let metric = value.metric.name();
        let error = value.error.map_or("N/A".into(), Value::from);
        result.insert(format!("{metric},none"), value.value.into());
        result.insert(format!("{metric}_stderr,none"), error);
    }
    result.insert("sample_len".into(), scores.items.into());
    Value::Object(result)
}

/// Writes requests and answers, one line per document.
pub fn log(path: &Path, answered: &[TaskRun]) -> Result<()> {
    let at = || path.display().to_string();
    let mut out = BufWriter::new(File::create(path).with_context(at)?);
    for run in answered {
        for subtask in &run.subtasks {
            for question in &subtask.questions {
                let line = sample(run.task, &subtask.name, question);
                writeln!(out, "{line}").with_context(at)?;
            }
        }
    }
    out.flush().with_context(at)
}

fn sample(task: &Task, name: &str, question: &Question) -> Value {
    let arguments: Vec<Value> = question
        .prompt
        .pairs()
        .map(|(context, continuation)| json!([context, continuation]))
        .collect();
    let likelihoods = question.likelihoods.0.iter();
    let answers: Vec<Value> =
        likelihoods.map(|answer| json!([answer.logprob, answer.is_greedy])).collect();
    let target = match &question.item.form {
        ItemForm::LastWord { word, .. } => json!(word),
        _ => json!(question.item.gold),
    };
    let mut line = json!({
        "task": name,
        "doc_id": question.document,
        "target": target,
        "arguments": arguments,
        "resps": answers,
        "truncated": question.truncated,
    });
    for metric in task.metrics {
        line[metric.name()] = metric.of(&question.item, &question.likelihoods).into();
    }
    line
}
