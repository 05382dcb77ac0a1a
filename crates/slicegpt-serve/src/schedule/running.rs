//! [`Running`]: a sequence of the running batch, and the events its client has not taken yet.

use std::collections::VecDeque;
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use slicegpt_generate::{Sampling, Sequence, TokenLogprobs};
use slicegpt_models::Cache;
use tokio::sync::mpsc::error::TrySendError;

use crate::schedule::job::{Event, EventKind, Job};

/// What a sequence needs from the model next.
pub enum Need {
    /// The logprobs of this many further tokens of the prompt.
    PromptLogprobs(usize),
    /// The next token, after this many tokens that are not in the KV cache yet.
    Token(usize),
    /// Nothing: only the end of its prompt is left to be reported.
    Nothing,
}

/// What is done with a sequence.
pub enum Work {
    /// Tokens are generated after the prompt.
    Generate(Box<Sequence>),
    /// The prompt is only scored.
    ScorePrompt(Cache),
}

/// A sequence of the running batch.
pub struct Running {
    pub job: Job,
    /// None once the sequence has ended.
    pub work: Option<Work>,
    /// Logprobs of the prompt's tokens so far, from the second token on.
    pub prompt_logprobs: Vec<TokenLogprobs>,
    /// Bytes reserved for its KV cache.
    pub cache_bytes: u64,
    /// Whether the end of the prefill has been reported.
    pub prefill_reported: bool,
    /// Events that the client has not taken yet.
    pending: VecDeque<Event>,
}

impl Running {
    /// Starts `job`, whose KV cache takes `cache_bytes`, with a context of `context` tokens.
    pub fn new(job: Job, cache_bytes: u64, context: usize) -> Self {
        let work = match job.max_tokens {
            0 => Work::ScorePrompt(Cache::with_capacity(job.prompt.len())),
            max_tokens => {
                let cache = Cache::with_capacity(job.prompt.len() + max_tokens);
                let sampling = Sampling { seed: job.seed, ..job.params.sampling.clone() };
                let stop = job.params.stop_criteria(max_tokens);
                let sequence = Sequence::new(job.prompt.to_vec(), cache, sampling, stop, context);
                Work::Generate(Box::new(sequence))
            }
        };
        Self {
            job,
            work: Some(work),
            prompt_logprobs: Vec::new(),
            cache_bytes,
            prefill_reported: false,
            pending: VecDeque::new(),
        }
    }

    /// Its KV cache, unless it has ended.
    pub fn cache(&self) -> Option<&Cache> {
        match self.work.as_ref()? {
            Work::Generate(sequence) => Some(sequence.next().1),
            Work::ScorePrompt(cache) => Some(cache),
        }
    }

    /// What it needs next, unless it has ended or waits for its client.
    pub fn need(&self) -> Option<Need> {
        let work = self.work.as_ref().filter(|_| self.pending.is_empty())?;
        let cached = self.cache().map_or(0, Cache::seen);
        // No prompt token follows the last one, so its logits score nothing.
        let unscored = (self.job.prompt.len() - 1).saturating_sub(cached);
        Some(match work {
            _ if self.job.params.wants_prompt_logprobs() && unscored > 0 => {
                Need::PromptLogprobs(unscored)
            }
            Work::Generate(sequence) => Need::Token(sequence.next().0.len()),
            Work::ScorePrompt(_) => Need::Nothing,
        })
    }

    /// The number of cached tokens, and the next `count` tokens of the prompt after them.
    pub fn uncached(&self, count: usize) -> (usize, &[u32]) {
        let cached = self.cache().map_or(0, Cache::seen);
        (cached, &self.job.prompt[cached..cached + count])
    }

    /// Reports that the prompt was processed, with its logprobs.
    pub fn report_prefill(&mut self) {
        self.prefill_reported = true;
        let logprobs = std::mem::take(&mut self.prompt_logprobs);
        self.send(EventKind::Prefilled(logprobs));
    }

    /// Sends an event to the client, or queues it if the client has no room.
    pub fn send(&mut self, kind: EventKind) {
        self.pending.push_back(Event { index: self.job.index, kind });
        self.flush();
    }

    /// Sends queued events as far as the client has room for them.
    pub fn flush(&mut self) {
        while let Some(event) = self.pending.pop_front() {
            match self.job.events.try_send(event) {
                Ok(()) => *self.stalled_since() = None,
                Err(TrySendError::Full(event)) => {
                    self.pending.push_front(event);
                    self.stalled_since().get_or_insert_with(Instant::now);
                    return;
                }
                Err(TrySendError::Closed(_)) => self.pending.clear(),
            }
        }
    }

    /// Whether events are waiting and the client has read nothing of any sequence of the request
    /// for longer than `limit`.
    pub fn is_stalled(&self, limit: Duration) -> bool {
        let waits = !self.pending.is_empty();
        waits && self.stalled_since().is_some_and(|since| since.elapsed() > limit)
    }

    fn stalled_since(&self) -> MutexGuard<'_, Option<Instant>> {
        // A panic cannot leave an instant half written.
        self.job.stalled_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it has ended and all of its events were sent.
    pub fn is_finished(&self) -> bool {
        self.work.is_none() && self.pending.is_empty()
    }
}
