//! [`Running`]: a sequence of the running batch, and the events its client has not taken yet.

use std::collections::VecDeque;
use std::time::Duration;

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
            _ if self.needs_scores() && unscored > 0 => Need::PromptLogprobs(unscored),
            Work::Generate(sequence) => Need::Token(sequence.next().0.len()),
            Work::ScorePrompt(_) => Need::Nothing,
        })
    }

    /// Whether the logprobs of the prompt are wanted, and have not been reported.
    fn needs_scores(&self) -> bool {
        self.job.params.wants_prompt_logprobs() && !self.prefill_reported
    }

    /// The number of cached tokens, and the next `count` tokens after them. After a pause, the
    /// tokens that were generated before it are among them.
    pub fn uncached(&self, count: usize) -> (usize, &[u32]) {
        let cached = self.cache().map_or(0, Cache::seen);
        let ids = match &self.work {
            Some(Work::Generate(sequence)) => sequence.next().0,
            _ => &self.job.prompt[cached..],
        };
        (cached, &ids[..count])
    }

    /// Gives up the KV cache, which is computed again when the sequence goes on.
    pub fn drop_cache(&mut self) {
        let capacity = self.job.prompt.len() + self.job.max_tokens;
        match &mut self.work {
            Some(Work::Generate(sequence)) => {
                sequence.replace_cache(Cache::with_capacity(capacity))
            }
            Some(Work::ScorePrompt(cache)) => *cache = Cache::with_capacity(capacity),
            None => {}
        }
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
                Ok(()) => self.job.client.reads(),
                Err(TrySendError::Full(event)) => {
                    self.pending.push_front(event);
                    self.job.client.stalls();
                    return;
                }
                Err(TrySendError::Closed(_)) => self.pending.clear(),
            }
        }
    }

    /// Whether events are waiting and the client has read nothing of any sequence of the request
    /// for longer than `limit`.
    pub fn is_stalled(&self, limit: Duration) -> bool {
        self.waits_for_client() && self.job.client.stalled_for() > limit
    }

    /// Whether events are waiting for the client to take them.
    pub fn waits_for_client(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Whether it has ended and all of its events were sent.
    pub fn is_finished(&self) -> bool {
        self.work.is_none() && self.pending.is_empty()
    }
}
