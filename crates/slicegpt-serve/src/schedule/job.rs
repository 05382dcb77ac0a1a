//! [`Job`]: a sequence to generate, as handlers send it to the model's thread; [`Event`]: what
//! comes back.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use slicegpt_generate::{TokenLogprobs, TokenOutput};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::Sender;

use crate::request::params::Params;

/// A sequence to generate.
pub struct Job {
    /// Index of the completion within its request.
    pub index: usize,
    /// At least one token, and fewer than the context length if any are to be generated.
    pub prompt: Arc<[u32]>,
    pub params: Arc<Params>,
    /// Seed of the sampler.
    pub seed: u64,
    /// Maximum number of tokens to generate; with 0 the prompt is only scored.
    pub max_tokens: usize,
    /// Where events go. A closed channel means that the client no longer wants the sequence.
    pub events: Sender<Event>,
    /// Since when the client has read nothing of any sequence of the request.
    pub stalled_since: Arc<Mutex<Option<Instant>>>,
    /// Its slot in the queue and the batch.
    #[expect(dead_code, reason = "it is held, and released with the job")]
    pub slot: OwnedSemaphorePermit,
}

/// An event of a sequence.
#[derive(Debug)]
pub struct Event {
    /// Index of the completion within its request.
    pub index: usize,
    pub kind: EventKind,
}

/// What happened to a sequence.
#[derive(Debug)]
pub enum EventKind {
    /// The prompt was processed. The logprobs of its tokens, from the second on, if requested.
    Prefilled(Vec<TokenLogprobs>),
    /// A token was generated.
    Token(TokenOutput, Option<TokenLogprobs>),
    /// The sequence failed; no further event follows.
    Failed(String),
}
