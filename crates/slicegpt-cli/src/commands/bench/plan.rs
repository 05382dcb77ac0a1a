//! [`Case`]: one thing that is measured.

use serde::{Deserialize, Serialize};

/// What a model does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Reads prompts, up to the logits after their last token.
    Prefill,
    /// Writes one token after another.
    Decode,
}

/// What a model does, with how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// What it does.
    pub phase: Phase,
    /// Tokens that each sequence has before.
    pub context: usize,
    /// Tokens that each sequence gets.
    pub tokens: usize,
    /// Sequences at a time.
    pub batch: usize,
}

impl Case {
    /// Tokens of a sequence in the end.
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
