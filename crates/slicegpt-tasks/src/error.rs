//! [`TaskError`]: errors about tasks and their data files.

use std::io;
use std::path::PathBuf;

use slicegpt_corpus::CorpusError;

/// A result whose error is a [`TaskError`].
pub type Result<T> = std::result::Result<T, TaskError>;

/// What is wrong with a task or one of its data files, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the names of the fields say what they are, and the messages use them
pub enum TaskError {
    #[error("task `{name}` is not known; the tasks are {known}")]
    Unknown { name: String, known: String },
    #[error("{}: is not a directory", .0.display())]
    NotDirectory(PathBuf),
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error(
        "{}: has no file for task {task}; {expected} is looked for", directory.display()
    )]
    Missing { directory: PathBuf, task: &'static str, expected: String },
    #[error(
        "{}: has several files for task {task}: {found}; name the one that is meant {task}.jsonl",
        directory.display()
    )]
    Ambiguous { directory: PathBuf, task: &'static str, found: String },
    #[error("{}: holds no documents", .0.display())]
    Empty(PathBuf),
    #[error("{place}: {reason}")]
    Json { place: String, reason: String },
    #[error("{place}: field `{field}` {reason}")]
    Field { place: String, field: String, reason: String },
    #[error("{place}: is not a document of task {task}: it has {found}, and {expected} is needed")]
    Form { place: String, task: &'static str, found: String, expected: &'static str },
    #[error(
        "{}: has no examples for task {task}; {expected} is looked for",
        directory.display()
    )]
    NoExamples { directory: PathBuf, task: String, expected: String },
    #[error("{}: {have} examples for task {task}, and {need} are needed", path.display())]
    FewExamples { path: PathBuf, task: String, have: usize, need: usize },
    #[error("{place}: {reason}")]
    Tokens { place: String, reason: String },
    #[error("{place}: answer {answer} has {tokens} tokens, and the model sees {seen}")]
    TooLong { place: String, answer: usize, tokens: usize, seen: usize },
    #[error(transparent)]
    Corpus(#[from] CorpusError),
}
