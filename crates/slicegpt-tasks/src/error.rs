//! [`TaskError`]: what can be wrong with tasks and their files.

use std::io;
use std::path::PathBuf;

use slicegpt_corpus::CorpusError;

/// What can fail for one of these reasons.
pub type Result<T> = std::result::Result<T, TaskError>;

/// What is wrong with a task or a file of one, and what to do.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the fields are named for what they hold, and stand in the message
pub enum TaskError {
    #[error("task `{name}` is not known; the tasks are {known}")]
    Unknown { name: String, known: String },
    #[error("{}: is not a directory; --data names one that holds a file for each task", .0.display())]
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
    #[error("{place}: is no document of task {task}: it has {found}, and {expected} is needed")]
    Form { place: String, task: &'static str, found: String, expected: &'static str },
    #[error(
        "{}: has no examples for task {task}; {expected} is looked for, or ask with --num-fewshot 0",
        directory.display()
    )]
    NoExamples { directory: PathBuf, task: String, expected: String },
    #[error("{}: {have} examples for task {task}, and {need} are needed; lower --num-fewshot", path.display())]
    FewExamples { path: PathBuf, task: String, have: usize, need: usize },
    #[error("{place}: {reason}")]
    Tokens { place: String, reason: String },
    #[error(
        "{place}: answer {answer} has {tokens} tokens, and the model sees {seen}; \
         --skip-too-long leaves such documents out"
    )]
    TooLong { place: String, answer: usize, tokens: usize, seen: usize },
    #[error(transparent)]
    Corpus(#[from] CorpusError),
}
