//! The tasks, one file per task.

mod arc;
mod hellaswag;
mod lambada;
mod mmlu;
mod piqa;
mod query;
mod winogrande;

use crate::{Result, Task, TaskError};

/// All known tasks.
pub const TASKS: &[Task] = &[
    piqa::PIQA,
    hellaswag::HELLASWAG,
    winogrande::WINOGRANDE,
    arc::EASY,
    arc::CHALLENGE,
    lambada::OPENAI,
    mmlu::MMLU,
];

/// The task called `name`.
///
/// # Errors
///
/// If there is none; the error lists the known tasks.
pub fn find(name: &str) -> Result<&'static Task> {
    let known = || TASKS.iter().map(|task| task.name).collect::<Vec<_>>().join(", ");
    let found = TASKS.iter().find(|task| task.name == name);
    found.ok_or_else(|| TaskError::Unknown { name: name.into(), known: known() })
}
