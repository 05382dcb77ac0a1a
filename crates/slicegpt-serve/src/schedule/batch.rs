//! [`Batch`]: which sequences have a place in the batch, which wait for one, and which wait for
//! their clients.
//!
//! A sequence whose client does not read keeps its place only until another sequence needs it. Then
//! it is paused: its KV cache is dropped, and once the client has read, it joins the end of the
//! queue. If there is no slot or memory for a new request, the request that has been stalled
//! longest is dropped.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::metrics::ReasonLabel;
use crate::schedule::forward::Forward;
use crate::schedule::job::Job;
use crate::schedule::running::Running;
use crate::state::ServerState;

/// How long a client may read nothing before its sequences may be paused for others.
const PATIENCE: Duration = Duration::from_millis(500);

/// How long it may read nothing before its request may be dropped for a new one.
const LONG_PATIENCE: Duration = Duration::from_secs(5);

/// A sequence that waits for a place in the batch.
enum Waiting {
    /// It has not begun.
    New(Job),
    /// It was paused.
    Paused(Running),
}

/// All sequences of the server.
pub struct Batch {
    /// Those that have a place in the batch.
    pub running: Vec<Running>,
    waiting: VecDeque<Waiting>,
    /// Those whose clients must read before they can go on, or be forgotten. They have no cache.
    paused: Vec<Running>,
    state: Arc<ServerState>,
    /// Number of times that queued events were flushed.
    flushes: usize,
}

impl Batch {
    pub fn new(state: Arc<ServerState>) -> Self {
        let (running, waiting, paused) = (Vec::new(), VecDeque::new(), Vec::new());
        Self { running, waiting, paused, state, flushes: 0 }
    }

    /// Adds a sequence that waits.
    pub fn push(&mut self, job: Job) {
        self.waiting.push_back(Waiting::New(job));
    }

    /// Removes sequences that have finished, whose client disconnected, or whose client stalled.
    pub fn retire(&mut self) {
        let before = self.waiting.len();
        self.waiting.retain(|waiting| !waiting.job().events.is_closed());
        count(&self.state, "gone", before - self.waiting.len());
        self.flush();
        let limit = self.state.limits.stall;
        self.remove("gone", &|running| running.job.events.is_closed());
        self.remove("stalled", &|running| running.is_stalled(limit));
        // One that has ended needs no place, only its client.
        let ended = self.running.extract_if(.., |running| running.work.is_none());
        self.paused.extend(ended);
        let go_on = self.paused.extract_if(.., |paused| !paused.waits_for_client());
        self.waiting.extend(go_on.map(Waiting::Paused));
        let all = self.running.iter().chain(&self.paused);
        let stalled = all.filter(|running| running.is_stalled(LONG_PATIENCE)).count();
        self.state.stalled.store(stalled, Ordering::SeqCst);
        if self.state.needs_room.swap(false, Ordering::SeqCst) {
            self.give_up_longest();
        }
    }

    /// Whether any sequence waits for its client only.
    pub fn has_paused(&self) -> bool {
        !self.paused.is_empty()
    }

    /// Sends what the clients have room for, and forgets the sequences that have sent all.
    fn flush(&mut self) {
        // Sequences of one request share its channel: each of them is flushed first in turn.
        let first = self.flushes % self.running.len().max(1);
        self.flushes = self.flushes.wrapping_add(1);
        let (last, first) = self.running.split_at_mut(first);
        first.iter_mut().chain(last).for_each(Running::flush);
        self.paused.iter_mut().for_each(Running::flush);
        self.running.retain(|running| !running.is_finished());
        self.paused.retain(|paused| !paused.is_finished());
    }

    /// Removes the sequences that are lost.
    fn remove(&mut self, reason: &'static str, is_lost: &dyn Fn(&Running) -> bool) {
        // A sequence that only waits for its client to take the last token was counted at its end.
        let mut ended = 0;
        let mut keep = |running: &mut Running| {
            let lost = is_lost(running);
            ended += usize::from(lost && running.work.is_some());
            !lost
        };
        self.running.retain_mut(&mut keep);
        self.paused.retain_mut(&mut keep);
        count(&self.state, reason, ended);
    }

    /// Drops the request whose client has read nothing for the longest time, if that is longer than
    /// [`LONG_PATIENCE`].
    fn give_up_longest(&mut self) {
        let all = self.running.iter().chain(&self.paused);
        let stalled = all.filter(|running| running.is_stalled(LONG_PATIENCE));
        let longest = stalled.max_by_key(|running| running.job.client.stalled_for());
        let Some(client) = longest.map(|running| running.job.client.clone()) else { return };
        self.remove("stalled", &|running| Arc::ptr_eq(&running.job.client, &client));
        client.close();
    }

    /// Admits waiting sequences while the batch and the KV cache have room. Where they have none,
    /// sequences whose clients do not read are paused.
    pub fn admit(&mut self, forward: &dyn Forward) {
        let mut bytes: u64 = self.running.iter().map(|running| running.cache_bytes).sum();
        while let Some(first) = self.waiting.front() {
            let needed = first.cache_bytes(forward);
            let limits = &self.state.limits;
            if self.running.len() >= limits.sequences || bytes + needed > limits.cache_bytes {
                let Some(freed) = self.pause_longest() else { break };
                bytes -= freed;
                continue;
            }
            bytes += needed;
            match self.waiting.pop_front() {
                Some(Waiting::New(job)) => {
                    self.running.push(Running::new(job, needed, self.state.context));
                }
                Some(Waiting::Paused(running)) => self.running.push(running),
                None => {}
            }
        }
        let metrics = &self.state.metrics;
        metrics.waiting.set(self.waiting.len() as i64);
        metrics.running.set(self.running.len() as i64);
        metrics.cache_bytes.set(bytes as i64);
    }

    /// Pauses the sequence whose client has read nothing for the longest time, and returns the
    /// bytes of its KV cache; none if all clients read.
    fn pause_longest(&mut self) -> Option<u64> {
        let all = self.running.iter().enumerate();
        let stalled = all.filter(|(_, running)| running.is_stalled(PATIENCE));
        let (index, _) = stalled.max_by_key(|(_, running)| running.job.client.stalled_for())?;
        let mut running = self.running.remove(index);
        running.drop_cache();
        let bytes = running.cache_bytes;
        self.paused.push(running);
        Some(bytes)
    }
}

impl Waiting {
    fn job(&self) -> &Job {
        match self {
            Self::New(job) => job,
            Self::Paused(running) => &running.job,
        }
    }

    fn cache_bytes(&self, forward: &dyn Forward) -> u64 {
        match self {
            Self::New(job) => forward.cache_bytes(job.prompt.len() + job.max_tokens),
            Self::Paused(running) => running.cache_bytes,
        }
    }
}

/// Counts sequences that ended.
fn count(state: &ServerState, reason: &'static str, sequences: usize) {
    if sequences > 0 {
        let ended = state.metrics.ended.get_or_create_owned(&ReasonLabel { reason });
        ended.inc_by(sequences as u64);
    }
}
