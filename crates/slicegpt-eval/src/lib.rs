//! Scores any decoder: perplexity with its protocol, and logits.
//!
//! A decoder is run block by block over a group of sequences at a time, so that one block, one
//! group's stream and a slice of the logits are all that is in memory.
//!
//! This crate refuses to know passes, families and files: dense or sliced, a
//! [`slicegpt_core::Decoder`] is a decoder.

mod difference;
mod forward;
mod perplexity;

pub use difference::{Difference, difference};
pub use forward::{EvalError, logits};
pub use perplexity::{Perplexity, perplexity};
