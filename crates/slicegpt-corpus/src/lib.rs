//! Calibration and evaluation data: text and token files to token sequences of equal length.
//!
//! A [`Text`] is rows of text, from plain text, JSON or Parquet. A [`Vocabulary`] turns text into
//! token ids. [`calibration_samples`] and [`evaluation_samples`] pack those into [`Samples`]. A
//! [`Mixture`] divides calibration samples among several texts.
//! [`token_file`] reads samples that were tokenised elsewhere, and [`prompts`] takes passages from
//! samples for a model to continue.
//!
//! This crate knows nothing about tensors, models or the command line. The only fact about a model
//! that it uses is the number of token ids ([`Samples::check_vocabulary`]).

mod calibration;
mod chat;
mod columns;
mod contents;
mod csv_rows;
mod error;
mod evaluation;
#[cfg(test)]
mod fixture;
mod json;
mod merge_files;
mod mixture;
mod prompts;
mod samples;
mod table;
mod text;
mod token_file;
mod tokenizer_file;
mod vocabulary;

pub use calibration::calibration_samples;
pub use chat::Render;
pub use error::{CorpusError, Result};
pub use evaluation::evaluation_samples;
pub use mixture::Mixture;
pub use prompts::prompts;
pub use samples::Samples;
pub use text::Text;
pub use token_file::{is_token_file, token_file};
pub use vocabulary::Vocabulary;
