//! [`Job`]: a sequence to generate, as handlers send it to the model's thread; [`Event`]: what
//! comes back.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

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
    /// The client of the request.
    pub client: Arc<Client>,
    /// Its slot in the queue and the batch.
    #[expect(dead_code, reason = "it is held, and released with the job")]
    pub slot: OwnedSemaphorePermit,
}

/// The client of a request, as all of its sequences see it.
pub struct Client {
    /// Since when it has read nothing of any sequence of the request.
    stalled_since: Mutex<Option<Instant>>,
    /// Closes its connection.
    close: Box<dyn Fn() + Send + Sync>,
}

impl Client {
    /// A client whose connection `close` closes.
    pub fn new(close: impl Fn() + Send + Sync + 'static) -> Self {
        Self { stalled_since: Mutex::default(), close: Box::new(close) }
    }

    /// It has taken an event.
    pub fn reads(&self) {
        *self.lock() = None;
    }

    /// It had no room for an event.
    pub fn stalls(&self) {
        self.lock().get_or_insert_with(Instant::now);
    }

    /// How long it has read nothing; zero if it reads.
    pub fn stalled_for(&self) -> Duration {
        self.lock().map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Gives it up, so that everything its request holds is free at once.
    pub fn close(&self) {
        (self.close)();
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        // A panic cannot leave an instant half written.
        self.stalled_since.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
