//! [`Task`]: the definition of a task, as data.

use crate::{Document, Item, Metric, Result};

/// The definition of a task.
pub struct Task {
    /// Its name in the harness, and in the names of data files.
    pub name: &'static str,
    /// The version of its definition in the harness.
    pub version: &'static str,
    /// The metrics that are reported.
    pub metrics: &'static [Metric],
    /// The splits it may be scored on, the harness's choice first.
    pub scored: &'static [&'static str],
    /// Where few-shot examples come from.
    pub examples: Examples,
    /// Makes an item of a document.
    pub item: fn(&Document) -> Result<Item>,
    /// How the documents are split into subtasks, if they are.
    pub subjects: Option<Subjects>,
}

/// Where few-shot examples come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Examples {
    /// Drawn at random from the training split, for each document anew.
    Drawn,
    /// Drawn likewise, but never the scored document itself.
    DrawnFromOthers,
    /// Drawn from the scored documents: there is no other split.
    DrawnFromScored,
    /// The first documents of the development split.
    First,
}

impl Examples {
    /// The splits that they may come from, the harness's choice first.
    pub fn splits(self) -> &'static [&'static str] {
        match self {
            Self::Drawn | Self::DrawnFromOthers => &["train", "dev", "validation"],
            Self::First => &["dev", "validation", "train"],
            Self::DrawnFromScored => &[],
        }
    }
}

/// How the documents of a task are split into subtasks by subject.
pub struct Subjects {
    /// The field that holds the subject of a document.
    pub field: &'static str,
    /// The text before the examples of a subject.
    pub description: fn(&str) -> String,
    /// The groups with a common score: name, and subjects.
    pub groups: &'static [(&'static str, &'static [&'static str])],
    /// The version of the groups in the harness.
    pub version: &'static str,
}
