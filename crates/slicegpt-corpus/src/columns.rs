//! Which columns of a record are its text, and how they become one row.

use std::borrow::Cow;
use std::path::Path;

use crate::error::{CorpusError, Result, list};

/// What a column holds: text, nothing, or, in words, something else.
pub(crate) type Cell<'a> = std::result::Result<Option<Cow<'a, str>>, String>;

/// The columns that make a row of text.
pub(crate) enum Columns<'a> {
    /// One that holds it.
    One(&'a str),
    /// `instruction`, `input` (which may be absent) and `output`.
    Alpaca,
}

impl<'a> Columns<'a> {
    /// `wanted`, or else `text`, or else the three of Alpaca; in a record, or table, of the columns
    /// `there`. `place` is where the record stands in the file.
    pub fn choose<S: AsRef<str>>(
        wanted: Option<&'a str>,
        there: impl Iterator<Item = S> + Clone,
        path: &Path,
        place: impl Fn() -> String,
    ) -> Result<Self> {
        let has = |column: &str| there.clone().any(|name| name.as_ref() == column);
        let path = || path.into();
        match wanted {
            Some(column) if has(column) => Ok(Self::One(column)),
            Some(column) => {
                let (place, column, found) = (place(), column.into(), list(there.clone()));
                Err(CorpusError::MissingColumn { path: path(), place, column, found })
            }
            None if has("text") => Ok(Self::One("text")),
            None if has("instruction") && has("output") => Ok(Self::Alpaca),
            None => {
                let (place, found) = (place(), list(there.clone()));
                Err(CorpusError::NoTextColumn { path: path(), place, found })
            }
        }
    }

    /// Their names.
    pub fn names(&self) -> Vec<&'a str> {
        match self {
            Self::One(column) => vec![column],
            Self::Alpaca => vec!["instruction", "input", "output"],
        }
    }

    /// The row of text of a record, whose columns `cell` reads; none if one it needs is null.
    pub fn row<'r>(
        &self,
        cell: impl Fn(&str) -> Cell<'r>,
        path: &Path,
        place: impl Fn() -> String,
    ) -> Result<Option<String>> {
        let text = |column: &str| {
            cell(column).map_err(|found| CorpusError::NotText {
                path: path.into(),
                place: place(),
                column: column.into(),
                found,
            })
        };
        match self {
            Self::One(column) => Ok(text(column)?.map(Cow::into_owned)),
            Self::Alpaca => match (text("instruction")?, text("input")?, text("output")?) {
                (Some(instruction), input, Some(output)) => {
                    Ok(Some(alpaca(&instruction, &input.unwrap_or_default(), &output)))
                }
                _ => Ok(None),
            },
        }
    }
}

/// The Stanford Alpaca prompt with its answer, as in the `text` column of `tatsu-lab/alpaca`.
fn alpaca(instruction: &str, input: &str, output: &str) -> String {
    match input {
        "" => format!(
            "Below is an instruction that describes a task. Write a response that appropriately \
             completes the request.\n\n### Instruction:\n{instruction}\n\n### Response:\n{output}"
        ),
        input => format!(
            "Below is an instruction that describes a task, paired with an input that provides \
             further context. Write a response that appropriately completes the request.\n\n\
             ### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:\n{output}"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(record: &[(&str, Option<&'static str>)], wanted: Option<&str>) -> Option<String> {
        let there = record.iter().map(|(name, _)| *name);
        let columns = Columns::choose(wanted, there, Path::new("f"), String::new).unwrap();
        let cell = |column: &str| {
            let found = record.iter().find(|(name, _)| *name == column);
            Ok(found.and_then(|(_, text)| text.map(Cow::Borrowed)))
        };
        columns.row(cell, Path::new("f"), String::new).unwrap()
    }

    #[test]
    fn alpaca_records_become_the_prompt() {
        let answer = [("instruction", Some("Add.")), ("output", Some("3"))];
        let without = "Below is an instruction that describes a task. Write a response that \
                       appropriately completes the request.\n\n### Instruction:\nAdd.\n\n\
                       ### Response:\n3";
        let with = "Below is an instruction that describes a task, paired with an input that \
                    provides further context. Write a response that appropriately completes the \
                    request.\n\n### Instruction:\nAdd.\n\n### Input:\n1 2\n\n### Response:\n3";
        assert_eq!(row(&answer, None).as_deref(), Some(without));
        for (input, expected) in [(None, without), (Some(""), without), (Some("1 2"), with)] {
            let record = [answer[0], ("input", input), answer[1]];
            assert_eq!(row(&record, None).as_deref(), Some(expected));
        }
        assert_eq!(row(&[answer[0], ("output", None)], None), None);
        // Where somebody formatted them already, or asks for another column, that is the row.
        assert_eq!(row(&[answer[0], answer[1], ("text", Some("t"))], None).as_deref(), Some("t"));
        assert_eq!(row(&answer, Some("output")).as_deref(), Some("3"));
    }
}
