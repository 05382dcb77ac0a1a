//! [`Running`]: a text that is being made, and its reader.

use std::collections::VecDeque;
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use slicegpt_generate::{Sampling, Score, Sequence};
use slicegpt_models::Cache;
use tokio::sync::mpsc::error::TrySendError;

use crate::job::{Event, Job, What};

/// What a text needs of the model next.
pub enum Need {
    /// So many tokens of its prompt are to be read, each with the logits after it.
    Scores(usize),
    /// A token, after so many that the model has not seen.
    Token(usize),
    /// Nothing: it has only to be told that its prompt was read.
    Nothing,
}

/// How a text is made.
pub enum Work {
    /// Tokens are to follow the prompt.
    Write(Box<Sequence>),
    /// The prompt is only read.
    Read(Cache),
}

/// A text that is being made.
pub struct Running {
    pub job: Job,
    /// None once it has ended.
    pub work: Option<Work>,
    /// How likely the tokens of the prompt were, from the second one on, as far as it was read.
    pub scores: Vec<Score>,
    /// Bytes set aside for its cache.
    pub bytes: u64,
    /// Whether it has been told that the prompt was read.
    pub told_read: bool,
    /// What its reader has not taken yet.
    pending: VecDeque<Event>,
}

impl Running {
    /// Begins with `job`, whose cache takes `bytes`; the model sees `context` tokens.
    pub fn new(job: Job, bytes: u64, context: usize) -> Self {
        let work = match job.most {
            0 => Work::Read(Cache::with_capacity(job.prompt.len())),
            most => {
                let cache = Cache::with_capacity(job.prompt.len() + most);
                let sampling = Sampling { seed: job.seed, ..job.asked.sampling.clone() };
                let (prompt, ending) = (job.prompt.to_vec(), job.asked.ending(most));
                Work::Write(Box::new(Sequence::new(prompt, cache, sampling, ending, context)))
            }
        };
        let (scores, pending) = (Vec::new(), VecDeque::new());
        Self { job, work: Some(work), scores, bytes, told_read: false, pending }
    }

    /// What it has been given so far.
    pub fn cache(&self) -> Option<&Cache> {
        match self.work.as_ref()? {
            Work::Write(sequence) => Some(sequence.next().1),
            Work::Read(cache) => Some(cache),
        }
    }

    /// What it needs next, unless it has ended or waits for its reader.
    pub fn need(&self) -> Option<Need> {
        let work = self.work.as_ref().filter(|_| self.pending.is_empty())?;
        let seen = self.cache().map_or(0, Cache::seen);
        // What follows the last token of a prompt is no token of it.
        let unscored = (self.job.prompt.len() - 1).saturating_sub(seen);
        Some(match work {
            _ if self.job.asked.scores_prompts() && unscored > 0 => Need::Scores(unscored),
            Work::Write(sequence) => Need::Token(sequence.next().0.len()),
            Work::Read(_) => Need::Nothing,
        })
    }

    /// The next `count` tokens of the prompt that the model has not seen, and how many it has.
    pub fn unseen(&self, count: usize) -> (usize, &[u32]) {
        let seen = self.cache().map_or(0, Cache::seen);
        (seen, &self.job.prompt[seen..seen + count])
    }

    /// Tells that the prompt was read.
    pub fn tell_read(&mut self) {
        self.told_read = true;
        let scores = std::mem::take(&mut self.scores);
        self.tell(What::Read(scores));
    }

    /// Tells its reader something.
    pub fn tell(&mut self, what: What) {
        self.pending.push_back(Event { index: self.job.index, what });
        self.flush();
    }

    /// Gives its reader what is waiting, as far as it takes it.
    pub fn flush(&mut self) {
        while let Some(event) = self.pending.pop_front() {
            match self.job.events.try_send(event) {
                Ok(()) => *self.stalled() = None,
                Err(TrySendError::Full(event)) => {
                    self.pending.push_front(event);
                    self.stalled().get_or_insert_with(Instant::now);
                    return;
                }
                Err(TrySendError::Closed(_)) => self.pending.clear(),
            }
        }
    }

    /// Whether it waits for its reader, who has taken nothing of any of the request's texts for too long.
    pub fn is_stalled(&self, most: Duration) -> bool {
        let waits = !self.pending.is_empty();
        waits && self.stalled().is_some_and(|since| since.elapsed() > most)
    }

    fn stalled(&self) -> MutexGuard<'_, Option<Instant>> {
        // An instant is never half written.
        self.job.stalled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is nothing more to do for it.
    pub fn is_over(&self) -> bool {
        self.work.is_none() && self.pending.is_empty()
    }
}
