//! Scores any decoder: perplexity with its protocol, KL divergence from another decoder, and
//! logits.
//!
//! Start from [`perplexity`], [`divergence`] or [`comparison`], with a [`slicegpt_core::Decoder`]
//! and batches of tokens. A decoder is run block by block over a group of sequences at a time: one
//! block and the streams of one group are in memory, and after the last block the head and a part
//! of the logits.
//!
//! This crate knows nothing about passes, families or files: a dense decoder and a sliced one are
//! scored alike.

mod comparison;
mod difference;
mod divergence;
mod forward;
mod perplexity;
mod standard_error;

pub use comparison::{Comparison, comparison};
pub use difference::{Difference, difference};
pub use divergence::{Divergence, DivergenceSum, divergence};
pub use forward::{EvalError, logits, normed_streams};
pub use perplexity::{Perplexity, labels, perplexity};
