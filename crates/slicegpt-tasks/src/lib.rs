//! Tasks: what a model is asked, and how its answers are counted.
//!
//! A [`Task`] is data: which fields of a document make the [`Item`] that is asked, which metrics count,
//! where solved examples are drawn from. One file each under `tasks`. [`documents`] finds and reads them,
//! [`prompts`] puts examples before each question, an [`Encoder`] makes [`Sequence`]s of tokens,
//! [`score`] asks a model for the likelihood of every answer, and [`Answers`] become [`Scores`].
//!
//! Prompts, token boundaries, the draw of examples and the metrics are those of EleutherAI's
//! lm-evaluation-harness, version [`HARNESS`].
//!
//! This crate refuses to know where a model came from, who reads the scores, and how a tensor is computed.

mod document;
mod error;
mod files;
mod item;
mod metric;
mod part;
mod prompt;
mod python;
mod random;
mod score;
mod task;
mod tasks;
mod tokens;

pub use document::Document;
pub use error::{Result, TaskError};
pub use files::{Documents, documents};
pub use item::{Answer, Item, Prompt};
pub use metric::{Answers, Metric, Scores, Value, scores};
pub use part::{Group, Part, groups, parts};
pub use prompt::prompts;
pub use score::{Likelihood, score};
pub use task::{Examples, Task};
pub use tasks::{TASKS, find};
pub use tokens::{Encoder, Sequence};

/// The version of lm-evaluation-harness whose prompts and metrics these are.
pub const HARNESS: &str = "0.4.13";

/// What the harness draws examples with, unless it is told another.
pub const SEED: u32 = 1234;
