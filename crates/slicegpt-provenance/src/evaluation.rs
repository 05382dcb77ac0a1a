//! [`EvaluationRecord`]: a sliced model compared with its dense one on a text.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// A sliced model compared with the dense model on a text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvaluationRecord {
    /// Name of the file, with the name of the tensor where one was given.
    pub text: String,
    /// Number of sequences.
    pub samples: usize,
    /// Tokens per sequence.
    pub seqlen: usize,
    /// Labels scored for the perplexities.
    pub tokens: u64,
    /// Perplexity of the dense model.
    pub perplexity_before: f64,
    /// Perplexity of the sliced model.
    pub perplexity_after: f64,
    /// How the perplexities were measured, for a reader.
    pub protocol: String,
    /// `KL(dense || sliced)` of the distributions over the next token, in nats per token.
    pub kl: f64,
    /// Standard error of [`EvaluationRecord::kl`] over sequences, in nats per token.
    pub kl_standard_error: f64,
    /// The fraction of tokens for which both models predict the same most likely next token.
    pub top1_agreement: f64,
    /// Tokens compared for the divergence and the agreement.
    pub kl_tokens: u64,
    /// How divergence and agreement were measured, for a reader.
    pub kl_protocol: String,
    /// Greedy continuations of both models, where they were asked for.
    pub continuations: Option<ContinuationsRecord>,
}

impl EvaluationRecord {
    /// The protocols of all numbers, for a reader.
    pub fn protocols(&self) -> impl Iterator<Item = &str> {
        let continued = self.continuations.as_ref().map(|found| found.protocol.as_str());
        [self.protocol.as_str(), &self.kl_protocol].into_iter().chain(continued)
    }

    /// The fraction of continuations whose first `tokens` tokens are the same, where known.
    pub fn same_beginning(&self, tokens: usize) -> Option<f64> {
        let found = self.continuations.as_ref()?;
        found.same.iter().find(|same| same.tokens == tokens).map(|same| same.fraction)
    }
}

/// Lines, each once, in the order of their first occurrence. Several texts share most protocols.
pub fn each_once<'a>(lines: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut once: Vec<&str> = Vec::new();
    for line in lines {
        if !once.contains(&line) {
            once.push(line);
        }
    }
    once
}

/// The lengths at which continuations were compared in any of `evaluations`, in tokens, ascending.
pub fn compared_lengths<'a>(
    evaluations: impl IntoIterator<Item = &'a EvaluationRecord>,
) -> Vec<usize> {
    let continued = evaluations.into_iter().flat_map(|found| &found.continuations);
    let lengths: BTreeSet<usize> =
        continued.flat_map(|found| found.same.iter().map(|same| same.tokens)).collect();
    lengths.into_iter().collect()
}

/// Greedy continuations of the same prompts by the dense and the sliced model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContinuationsRecord {
    /// Number of prompts.
    pub prompts: usize,
    /// Tokens per prompt.
    pub prompt_tokens: usize,
    /// Tokens that each prompt was continued by; fewer where the text ended.
    pub new_tokens: usize,
    /// The fractions that are the same, by length, the shortest first.
    pub same: Vec<SameBeginning>,
    /// How they were measured, for a reader.
    pub protocol: String,
}

/// The fraction of continuations that begin with the same tokens.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SameBeginning {
    /// The number of tokens compared.
    pub tokens: usize,
    /// The fraction of continuations in which all of them are the same.
    pub fraction: f64,
}
