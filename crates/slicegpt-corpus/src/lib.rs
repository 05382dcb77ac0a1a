//! Text and token files to calibration and evaluation samples.
//!
//! [`Text`] is rows of text, from plain text, JSON or parquet; [`Vocabulary`] turns text into token
//! ids; [`calibration_samples`] and [`evaluation_samples`] pack those into rows of equal length,
//! [`Samples`]. [`token_file`] reads samples that were tokenised elsewhere.
//!
//! This crate refuses to know tensors and models: to it a model is, at most, the number of token
//! ids it has a row for ([`Samples::check_vocabulary`]).

mod calibration;
mod columns;
mod error;
mod evaluation;
#[cfg(test)]
mod fixture;
mod json;
mod samples;
mod table;
mod text;
mod token_file;
mod vocabulary;

pub use calibration::calibration_samples;
pub use error::{CorpusError, Result};
pub use evaluation::evaluation_samples;
pub use samples::Samples;
pub use text::Text;
pub use token_file::{is_token_file, token_file};
pub use vocabulary::Vocabulary;
