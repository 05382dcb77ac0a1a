//! Rows of text from JSON: one object per line, or a list of objects.

use std::borrow::Cow;
use std::path::Path;

use serde_json::Value;

use crate::chat::{Conversations, OTHER_LIST, Wrong, is_conversation};
use crate::columns::{Cell, Columns};
use crate::error::{CorpusError, Result};

/// Rows of a `.json` file: a list of objects if it begins with `[`, else one object per line.
pub(crate) fn sniffed(
    path: &Path,
    contents: &str,
    column: Option<&str>,
    conversations: &Conversations<'_>,
) -> Result<Vec<String>> {
    if !contents.trim_start().starts_with('[') {
        return lines(path, contents, column, conversations);
    }
    let records: Vec<Value> = serde_json::from_str(&standard(contents))
        .map_err(|error| invalid(path, error.line(), &error))?;
    let rows = records.iter().enumerate().map(|(i, record)| {
        let place = || format!("record {}", i + 1);
        row(path, record, column, conversations, place)
    });
    collected(rows)
}

/// Whether every line that is not blank is a JSON object, and there is one.
pub(crate) fn are_lines(contents: &str) -> bool {
    let mut lines = contents.lines().filter(|line| !line.trim().is_empty()).peekable();
    lines.peek().is_some()
        && lines.all(|line| {
            line.trim_start().starts_with('{')
                && matches!(serde_json::from_str(&standard(line)), Ok(Value::Object(_)))
        })
}

/// JSON without the numbers that only Python and JavaScript write: they become null.
fn standard(contents: &str) -> Cow<'_, str> {
    if !contents.contains("NaN") && !contents.contains("Infinity") {
        return Cow::Borrowed(contents);
    }
    let mut standard = String::with_capacity(contents.len());
    let mut rest = contents;
    while let Some(first) = rest.chars().next() {
        let word = ["NaN", "Infinity", "-Infinity"].into_iter().find(|w| rest.starts_with(w));
        let width = match (first, word) {
            ('"', _) => string_end(rest),
            (_, Some(word)) => word.len(),
            _ => first.len_utf8(),
        };
        match word {
            Some(_) => standard.push_str("null"),
            None => standard.push_str(&rest[..width]),
        }
        rest = &rest[width..];
    }
    Cow::Owned(standard)
}

/// Where the string ends that `text` begins with.
fn string_end(text: &str) -> usize {
    let mut escaped = true;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'"' if !escaped => return at + 1,
            b'\\' if !escaped => escaped = true,
            _ => escaped = false,
        }
    }
    text.len()
}

/// Rows of a file with one object per line; blank lines are skipped.
pub(crate) fn lines(
    path: &Path,
    contents: &str,
    column: Option<&str>,
    conversations: &Conversations<'_>,
) -> Result<Vec<String>> {
    let lines = contents.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let rows = lines.map(|(i, line)| {
        let record = serde_json::from_str(&standard(line));
        let record = record.map_err(|error| invalid(path, i + 1, &error))?;
        row(path, &record, column, conversations, || format!("line {}", i + 1))
    });
    collected(rows)
}

/// The rows that have text. A record without the column is as one that is null there, if another
/// record has it.
fn collected(rows: impl Iterator<Item = Result<Option<String>>>) -> Result<Vec<String>> {
    let (mut found, mut has_column, mut lacks) = (Vec::new(), false, None);
    for row in rows {
        match row {
            Ok(row) => {
                has_column = true;
                found.extend(row);
            }
            Err(error @ (CorpusError::MissingColumn { .. } | CorpusError::NoTextColumn { .. })) => {
                lacks = lacks.or(Some(error))
            }
            Err(error) => return Err(error),
        }
    }
    match lacks {
        Some(error) if !has_column => Err(error),
        _ => Ok(found),
    }
}

fn row(
    path: &Path,
    record: &Value,
    column: Option<&str>,
    conversations: &Conversations<'_>,
    place: impl Fn() -> String,
) -> Result<Option<String>> {
    let Value::Object(record) = record else {
        let reason = format!("{}, not a JSON object", kind(record));
        return Err(CorpusError::Json { path: path.into(), place: place(), reason });
    };
    let cell = |column: &str| -> Cell<'_> {
        match record.get(column) {
            Some(Value::String(text)) => Ok(Some(Cow::Borrowed(text))),
            None | Some(Value::Null) => Ok(None),
            Some(Value::Array(turns)) if turns.is_empty() => Ok(None),
            Some(turns) if is_conversation(turns) => {
                conversations.text(turns).map(|text| Some(Cow::Owned(text)))
            }
            Some(Value::Array(_)) => Err(Wrong::Kind(OTHER_LIST.into())),
            Some(other) => Err(Wrong::Kind(kind(other).into())),
        }
    };
    Columns::choose(column, record.keys(), path, &place)?.row(cell, path, &place)
}

/// A parse error, with the line of the file in place of the line that the parser saw.
fn invalid(path: &Path, line: usize, error: &serde_json::Error) -> CorpusError {
    let message = error.to_string();
    let suffix = format!(" at line {} column {}", error.line(), error.column());
    let reason = format!(
        "{} (character {}); expected JSON objects, one per line or, in .json files, in a list",
        message.strip_suffix(&suffix).unwrap_or(&message),
        error.column()
    );
    CorpusError::Json { path: path.into(), place: format!("line {line}"), reason }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
