//! Which columns of a record hold its text, and how they become one row.

use std::borrow::Cow;
use std::path::Path;

use crate::chat::Wrong;
use crate::error::{CorpusError, Result, list};

/// The column of conversations in the data sets of the Hub.
const MESSAGES: &str = "messages";

/// The value of a column: text, nothing, or what is wrong with it.
pub(crate) type Cell<'a> = std::result::Result<Option<Cow<'a, str>>, Wrong>;

/// The columns that hold the text of a record.
pub(crate) enum Columns<'a> {
    /// One column with the text, or with conversations.
    One(&'a str),
    /// `instruction`, `input` (which may be absent) and `output`.
    Alpaca,
}

impl<'a> Columns<'a> {
    /// Chooses among the columns `available` of a record or table: `wanted` if given, else `text`,
    /// else `messages`, else the three of Alpaca. `place` is the place of the record in the file.
    pub fn choose<S: AsRef<str>>(
        wanted: Option<&'a str>,
        available: impl Iterator<Item = S> + Clone,
        path: &Path,
        place: impl Fn() -> String,
    ) -> Result<Self> {
        let has = |column: &str| available.clone().any(|name| name.as_ref() == column);
        let path = || path.into();
        match wanted {
            Some(column) if has(column) => Ok(Self::One(column)),
            Some(column) => {
                let (place, column, found) = (place(), column.into(), list(available.clone()));
                Err(CorpusError::MissingColumn { path: path(), place, column, found })
            }
            None if has("text") => Ok(Self::One("text")),
            None if has(MESSAGES) => Ok(Self::One(MESSAGES)),
            None if has("instruction") && has("output") => Ok(Self::Alpaca),
            None => {
                let (place, found) = (place(), list(available.clone()));
                Err(CorpusError::NoTextColumn { path: path(), place, found })
            }
        }
    }

    /// The names of the columns.
    pub fn names(&self) -> Vec<&'a str> {
        match self {
            Self::One(column) => vec![column],
            Self::Alpaca => vec!["instruction", "input", "output"],
        }
    }

    /// The row of text of a record, whose columns `cell` reads; none if a required one is null.
    pub fn row<'r>(
        &self,
        cell: impl Fn(&str) -> Cell<'r>,
        path: &Path,
        place: impl Fn() -> String,
    ) -> Result<Option<String>> {
        let text = |column: &str| {
            cell(column).map_err(|wrong| {
                let (path, place, column) = (path.into(), place(), column.into());
                match wrong {
                    Wrong::Kind(found) => CorpusError::NotText { path, place, column, found },
                    Wrong::Conversation(reason) => {
                        CorpusError::Conversation { path, place, column, reason }
                    }
                }
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

/// The Stanford Alpaca prompt with its response, as in the `text` column of `tatsu-lab/alpaca`.
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
        let available = record.iter().map(|(name, _)| *name);
        let columns = Columns::choose(wanted, available, Path::new("f"), String::new).unwrap();
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
        // A column `text`, or one that is asked for, takes precedence.
        assert_eq!(row(&[answer[0], answer[1], ("text", Some("t"))], None).as_deref(), Some("t"));
        assert_eq!(row(&answer, Some("output")).as_deref(), Some("3"));
    }
}
