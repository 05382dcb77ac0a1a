//! Scores any decoder: perplexity with its protocol, divergence from another decoder, and logits.
//!
//! A decoder is run block by block over a group of sequences at a time: one block and one group's
//! stream are in memory, and after the last block the head and a slice of the logits.
//!
//! This crate refuses to know passes, families and files: dense or sliced, a
//! [`slicegpt_core::Decoder`] is a decoder.

mod difference;
mod divergence;
mod error_of_mean;
mod forward;
mod perplexity;

pub use difference::{Difference, difference};
pub use divergence::{Divergence, DivergenceSum, divergence};
pub use forward::{EvalError, logits};
pub use perplexity::{Perplexity, perplexity};
