//! Benchmark tasks: what a model is asked, and how its answers are scored.
//!
//! A [`Task`] is data: which fields of a document make an [`Item`], which metrics count, and where
//! few-shot examples come from. There is one file per task under `tasks`. The steps of an
//! evaluation: [`documents`] finds and reads the data, [`subtasks`] splits it (MMLU by subject),
//! [`prompts`] puts examples before each question, an [`Encoder`] makes an [`EncodedPrompt`] of
//! each, [`score`] asks a model for the [`Likelihood`] of every answer, and [`scores`] makes
//! [`Scores`] of them.
//!
//! Prompts, token boundaries, the choice of examples and the metrics are those of EleutherAI's
//! lm-evaluation-harness, version [`HARNESS`].
//!
//! This crate knows nothing about the files of a model, the command line, or how a tensor is
//! computed.

mod document;
mod documents;
mod encoder;
mod error;
mod item;
mod likelihood;
mod metric;
mod prompt;
mod python;
mod random;
mod subtask;
mod task;
mod tasks;

pub use document::Document;
pub use documents::{Documents, documents};
pub use encoder::{EncodedPrompt, Encoder};
pub use error::{Result, TaskError};
pub use item::{Item, ItemForm, Prompt};
pub use likelihood::{Likelihood, score};
pub use metric::{AnswerLikelihoods, Metric, MetricValue, Scores, scores};
pub use prompt::prompts;
pub use subtask::{Group, Subtask, groups, subtasks};
pub use task::{Examples, Subjects, Task};
pub use tasks::{TASKS, find};

/// The version of lm-evaluation-harness whose prompts and metrics these are.
pub const HARNESS: &str = "0.4.13";

/// The seed with which the harness chooses examples by default.
pub const SEED: u32 = 1234;
