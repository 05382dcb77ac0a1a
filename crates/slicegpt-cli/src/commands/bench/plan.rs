//! [`Case`]: one measurement.

use serde::{Deserialize, Serialize};

/// The phase of inference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Prefill: prompts, up to the logits after their last token.
    Prefill,
    /// Decode: one token after another.
    Decode,
}

/// A phase with its sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// The phase.
    pub phase: Phase,
    /// Tokens of each sequence in the KV cache before.
    pub context: usize,
    /// Tokens of each sequence in this phase.
    pub tokens: usize,
    /// Batch size.
    pub batch: usize,
}

impl Case {
    /// Tokens of a sequence at the end.
    pub fn longest(&self) -> usize {
        self.context + self.tokens
    }
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { tokens, batch, context, .. } = self;
        match self.phase {
            Phase::Prefill => write!(f, "prefill {batch} x {tokens}"),
            Phase::Decode => write!(f, "decode {batch} x {tokens} after {context}"),
        }
    }
}
