//! [`Task`]: the definition of a task, as data.

use crate::{Document, Item, Metric, Result};

/// The definition of a task.
pub struct Task {
    /// What it is called, in options and files.
    pub name: &'static str,
    /// The version of its definition in the harness.
    pub version: &'static str,
    /// What is counted.
    pub metrics: &'static [Metric],
    /// The splits it may be scored on, the one the harness takes first.
    pub scored: &'static [&'static str],
    /// Where solved examples come from.
    pub examples: Examples,
    /// What a document asks.
    pub item: fn(&Document) -> Result<Item>,
    /// How documents are parted into tasks of their own, if they are.
    pub parted: Option<Parting>,
}

/// Where solved examples come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Examples {
    /// Drawn from the training split, anew for each document.
    Drawn,
    /// Drawn like that; the harness takes care that the document itself is not among them.
    DrawnFromOthers,
    /// Drawn from the documents that are scored: there is no other split.
    DrawnFromScored,
    /// The first of the development split.
    First,
}

impl Examples {
    /// The splits that may hold them, the one the harness takes first.
    pub fn splits(self) -> &'static [&'static str] {
        match self {
            Self::Drawn | Self::DrawnFromOthers => &["train", "dev", "validation"],
            Self::First => &["dev", "validation", "train"],
            Self::DrawnFromScored => &[],
        }
    }
}

/// How the documents of a task are parted into tasks of their own.
pub struct Parting {
    /// The field that says to which a document belongs.
    pub field: &'static str,
    /// What stands before all examples of a part.
    pub description: fn(&str) -> String,
    /// Parts that are scored together, by the name of the group.
    pub groups: &'static [(&'static str, &'static [&'static str])],
    /// The version of the groups in the harness.
    pub version: &'static str,
}
