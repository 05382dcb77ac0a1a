//! [`documents`]: finds the data files of a task in a directory, and reads their documents.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::document::kind;
use crate::{Document, Examples, Result, Task, TaskError};

/// The documents of a task.
#[derive(Debug)]
pub struct Documents {
    /// The documents that are scored.
    pub scored: Vec<Document>,
    /// The file they are in.
    pub file: PathBuf,
    /// The documents that few-shot examples come from; empty without few-shot examples.
    pub examples: Vec<Document>,
    /// The file they are in.
    pub examples_file: Option<PathBuf>,
}

/// A split of a file, or all documents of a file without splits.
struct FileSplit {
    name: Option<String>,
    documents: Vec<Document>,
}

/// Bytes of a data file. The largest, all of MMLU, has 160 MB.
const MAX_FILE: u64 = 1 << 30;

/// Finds and reads the data files of `task` in `directory`, including examples if `shots` is not 0.
///
/// The scored file is `TASK.jsonl`, or `TASK_SPLIT.jsonl` with a split that the task is scored on,
/// or else the only file whose name begins with `TASK_` and names no other split. `.json` is
/// accepted as well.
///
/// # Errors
///
/// If a file is missing, cannot be read, or has no documents.
pub fn documents(directory: &Path, task: &Task, shots: usize) -> Result<Documents> {
    if !directory.is_dir() {
        return Err(TaskError::NotDirectory(directory.into()));
    }
    let file = scored_file(directory, task)?;
    let mut splits = read(&file)?;
    // The rank of a split: those that the task is scored on come first.
    let rank = |split: &FileSplit| {
        let others = ["test", "validation", "val", "dev"];
        let order = task.scored.iter().copied().chain(others);
        let rank = split.name.as_deref().map(|name| order.clone().position(|known| known == name));
        rank.map_or(0, |rank| rank.unwrap_or(usize::MAX))
    };
    let chosen = (0..splits.len()).min_by_key(|i| rank(&splits[*i]));
    let chosen = chosen.filter(|i| rank(&splits[*i]) < usize::MAX);
    let Some(chosen) = chosen else { return Err(TaskError::Empty(file)) };
    let FileSplit { name: scored_split, documents: scored } = splits.swap_remove(chosen);
    if scored.is_empty() {
        return Err(TaskError::Empty(file));
    }
    let mut found = Documents { scored, file, examples: Vec::new(), examples_file: None };
    if shots == 0 {
        return Ok(found);
    }
    if task.examples == Examples::DrawnFromScored {
        (found.examples, found.examples_file) = (found.scored.clone(), Some(found.file.clone()));
        return Ok(found);
    }
    for name in task.examples.splits() {
        let has_name = |split: &FileSplit| split.name.as_deref() == Some(name);
        if let Some(index) = splits.iter().position(has_name) {
            found.examples = splits.swap_remove(index).documents;
            found.examples_file = Some(found.file.clone());
            return Ok(found);
        }
        let path = file_of(directory, &format!("{}_{name}", task.name));
        if let Some(path) = path.filter(|path| *path != found.file || scored_split.is_some()) {
            let read = read(&path)?.into_iter().flat_map(|split| split.documents);
            found.examples = read.collect();
            if found.examples.is_empty() {
                return Err(TaskError::Empty(path));
            }
            found.examples_file = Some(path);
            return Ok(found);
        }
    }
    let names: Vec<_> =
        task.examples.splits().iter().map(|name| format!("{}_{name}.jsonl", task.name)).collect();
    let expected = format!("{} (or .json)", names.join(" or "));
    let (directory, task) = (directory.into(), task.name.into());
    Err(TaskError::NoExamples { directory, task, expected })
}

/// The file `stem.jsonl` or `stem.json`, if there is one.
fn file_of(directory: &Path, stem: &str) -> Option<PathBuf> {
    let path = |end: &&str| directory.join(format!("{stem}.{end}"));
    ["jsonl", "json"].iter().map(path).find(|path| is_there(path))
}

/// Whether there is something that could be a file. What is none is refused when it is read.
fn is_there(path: &Path) -> bool {
    path.exists() && !path.is_dir()
}

/// The file that is scored.
fn scored_file(directory: &Path, task: &Task) -> Result<PathBuf> {
    let plain = file_of(directory, task.name);
    let of_split = |split: &&str| file_of(directory, &format!("{}_{split}", task.name));
    if let Some(path) = plain.or_else(|| task.scored.iter().find_map(of_split)) {
        return Ok(path);
    }
    let mut others = others(directory, task)?;
    match others.len() {
        1 => Ok(others.remove(0)),
        0 => {
            let names: Vec<_> = std::iter::once(task.name.to_string())
                .chain(task.scored.iter().map(|split| format!("{}_{split}", task.name)))
                .map(|stem| format!("{stem}.jsonl"))
                .collect();
            let expected = format!("{} (or .json)", names.join(" or "));
            Err(TaskError::Missing { directory: directory.into(), task: task.name, expected })
        }
        _ => {
            let name = |path: &PathBuf| path.file_name().map(|name| name.to_string_lossy().into());
            let found: Vec<String> = others.iter().filter_map(name).collect();
            let (directory, found) = (directory.into(), found.join(", "));
            Err(TaskError::Ambiguous { directory, task: task.name, found })
        }
    }
}

/// Files of the task whose name contains no known split.
fn others(directory: &Path, task: &Task) -> Result<Vec<PathBuf>> {
    let io = |source| TaskError::Io { path: directory.into(), source };
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(io)? {
        let path = entry.map_err(io)?.path();
        let end = path.extension().and_then(|end| end.to_str());
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let rest = stem.strip_prefix(task.name).and_then(|rest| rest.strip_prefix('_'));
        let known = ["train", "dev", "validation", "test"];
        let other = rest.is_some_and(|rest| !known.contains(&rest));
        if other && matches!(end, Some("jsonl" | "json")) && is_there(&path) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The documents of a file: an object per line, a list of objects, or an object of such lists by
/// split.
fn read(path: &Path) -> Result<Vec<FileSplit>> {
    let text = slicegpt_limits::read_text(path, MAX_FILE)
        .map_err(|source| TaskError::Io { path: path.into(), source })?;
    let json_lines = path.extension().is_some_and(|end| end == "jsonl");
    if !json_lines || text.trim_start().starts_with('[') {
        match serde_json::from_str(&text) {
            Ok(Value::Array(records)) => return Ok(vec![split(path, None, records)?]),
            Ok(Value::Object(fields)) if fields.values().any(Value::is_array) && !json_lines => {
                return splits(path, fields);
            }
            // JSON lines with the extension .json; errors are reported by line below.
            _ if text.trim_start().starts_with('{') => {}
            Ok(other) => return Err(not_an_object(&path.display().to_string(), &other)),
            Err(error) => return Err(invalid(path, error.line(), &error)),
        }
    }
    let mut documents = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let value = serde_json::from_str(line).map_err(|error| invalid(path, index + 1, &error))?;
        documents.push(document(format!("{}: line {}", path.display(), index + 1), value)?);
    }
    Ok(vec![FileSplit { name: None, documents }])
}

/// The splits of an object: its fields that are lists. Other fields describe the file.
fn splits(path: &Path, fields: Map<String, Value>) -> Result<Vec<FileSplit>> {
    let lists = fields.into_iter().filter_map(|(name, value)| match value {
        Value::Array(records) => Some((name, records)),
        _ => None,
    });
    lists.map(|(name, records)| split(path, Some(name), records)).collect()
}

fn split(path: &Path, name: Option<String>, records: Vec<Value>) -> Result<FileSplit> {
    let prefix = name.as_ref().map_or(String::new(), |name| format!("`{name}`, "));
    let place = |index| format!("{}: {prefix}record {}", path.display(), index + 1);
    let documents = records.into_iter().enumerate().map(|(i, value)| document(place(i), value));
    let documents = documents.collect::<Result<_>>()?;
    Ok(FileSplit { name, documents })
}

fn document(place: String, value: Value) -> Result<Document> {
    match value {
        Value::Object(fields) => Ok(Document::new(fields, place)),
        other => Err(not_an_object(&place, &other)),
    }
}

fn not_an_object(place: &str, value: &Value) -> TaskError {
    let reason = format!("is {}, not a JSON object", kind(value));
    TaskError::Json { place: place.into(), reason }
}

/// A parse error, with the line of the file in place of the line that the parser saw.
fn invalid(path: &Path, line: usize, error: &serde_json::Error) -> TaskError {
    let message = error.to_string();
    let suffix = format!(" at line {} column {}", error.line(), error.column());
    let message = message.strip_suffix(&suffix).unwrap_or(&message);
    let reason = format!(
        "{message} (character {}); JSON objects are expected, one per line or in a list",
        error.column()
    );
    TaskError::Json { place: format!("{}: line {line}", path.display()), reason }
}
