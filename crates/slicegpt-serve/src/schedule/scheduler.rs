//! [`Scheduler`]: continuous batching with chunked prefill.
//!
//! Sequences are admitted in the order of their arrival as soon as the batch has a free slot and
//! the KV cache has room for all of their tokens. KV memory is reserved at admission, so a running
//! sequence is preempted only if its client does not read. A step prefills a bounded number of
//! prompt tokens and decodes one token of every sequence whose prompt has been processed.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use slicegpt_generate::{FinishReason, TokenLogprobs};

use crate::metrics::ReasonLabel;
use crate::schedule::batch::Batch;
use crate::schedule::forward::Forward;
use crate::schedule::job::{EventKind, Job};
use crate::schedule::running::{Need, Work};
use crate::state::ServerState;

/// Maximum number of prompt tokens per step. Decoding sequences wait for their next token while a
/// step's prefill runs.
const PREFILL_TOKENS: usize = 512;

/// How long to wait for a job when no sequence is running.
const IDLE: Duration = Duration::from_millis(50);

/// How long to wait when all sequences wait for their clients.
const BLOCKED: Duration = Duration::from_millis(2);

/// Runs the sequences of all requests in one batch.
pub struct Scheduler<'a> {
    state: Arc<ServerState>,
    forward: &'a dyn Forward,
    jobs: Receiver<Job>,
    log: &'a dyn Fn(&str),
    batch: Batch,
}

impl<'a> Scheduler<'a> {
    pub fn new(
        state: Arc<ServerState>,
        forward: &'a dyn Forward,
        jobs: Receiver<Job>,
        log: &'a dyn Fn(&str),
    ) -> Self {
        Self { batch: Batch::new(state.clone()), state, forward, jobs, log }
    }

    /// Runs jobs until `stopped`, or until no job can come any more.
    pub fn run(mut self, stopped: impl Fn() -> bool) {
        let mut wait = Some(IDLE);
        while !stopped() && self.receive(wait) {
            self.batch.retire();
            self.batch.admit(self.forward);
            wait = if self.step() {
                None
            } else if self.batch.running.is_empty() && !self.batch.has_paused() {
                Some(IDLE)
            } else {
                Some(BLOCKED)
            };
        }
    }

    /// Receives new jobs, waiting up to `wait` for the first; false if no job can come any more.
    fn receive(&mut self, wait: Option<Duration>) -> bool {
        if let Some(wait) = wait {
            match self.jobs.recv_timeout(wait) {
                Ok(job) => self.batch.push(job),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
        self.jobs.try_iter().for_each(|job| self.batch.push(job));
        true
    }

    /// Runs the model once for every sequence that can proceed; returns whether there was any.
    fn step(&mut self) -> bool {
        let mut budget = PREFILL_TOKENS;
        let mut worked = false;
        let mut batch = Vec::new();
        for index in 0..self.batch.running.len() {
            let Some(need) = self.batch.running[index].need() else { continue };
            match need {
                Need::Token(1) => batch.push(index),
                Need::Token(tokens) if tokens <= budget => {
                    budget -= tokens;
                    batch.push(index);
                }
                Need::PromptLogprobs(_) | Need::Token(_) if budget == 0 => continue,
                Need::Token(_) => {
                    self.prefill(index, budget);
                    budget = 0;
                }
                Need::PromptLogprobs(tokens) => {
                    self.prompt_logprobs(index, tokens.min(budget));
                    budget -= tokens.min(budget);
                }
                Need::Nothing => {
                    self.end(index, FinishReason::Length);
                    self.report_prefill(index);
                }
            }
            worked = true;
        }
        if !batch.is_empty() {
            self.decode(&batch);
        }
        worked
    }

    /// Prefills the next `tokens` tokens of a prompt.
    fn prefill(&mut self, index: usize, tokens: usize) {
        let running = &self.batch.running[index];
        let (_, ids) = running.uncached(tokens);
        let Some(cache) = running.cache() else { return };
        if let Err(error) = guarded(|| self.forward.prefill(ids, cache)) {
            self.fail(&[index], &error);
        }
    }

    /// Prefills the next `tokens` tokens of a prompt, and records the logprobs of those after them.
    fn prompt_logprobs(&mut self, index: usize, tokens: usize) {
        let running = &self.batch.running[index];
        let (mut next, ids) = running.uncached(tokens);
        let Some(cache) = running.cache() else { return };
        let top = running.job.params.top_logprobs.unwrap_or(0);
        let mut logprobs = Vec::with_capacity(tokens);
        let result = guarded(|| {
            self.forward.prompt_logits(ids, cache, &mut |logits| {
                next += 1;
                logprobs.push(TokenLogprobs::new(logits, running.job.prompt[next], top));
            })
        });
        match result {
            Ok(()) => self.batch.running[index].prompt_logprobs.append(&mut logprobs),
            Err(error) => self.fail(&[index], &error),
        }
    }

    /// Decodes the next token of each sequence of `batch`.
    fn decode(&mut self, batch: &[usize]) {
        let sequences =
            batch.iter().filter_map(|index| match self.batch.running[*index].work.as_ref()? {
                Work::Generate(sequence) => Some(sequence.next()),
                Work::ScorePrompt(_) => None,
            });
        let sequences: Vec<_> = sequences.collect();
        let logits = match guarded(|| self.forward.decode(&sequences)) {
            Ok(logits) => logits,
            Err(error) => return self.fail(batch, &error),
        };
        self.state.metrics.steps.inc();
        for (index, logits) in batch.iter().zip(logits) {
            match logits {
                Ok(logits) => {
                    self.report_prefill(*index);
                    self.accept(*index, &logits);
                }
                Err(error) => self.fail(&[*index], &error),
            }
        }
    }

    /// Chooses the next token of a sequence, and sends it.
    fn accept(&mut self, index: usize, logits: &[f32]) {
        let running = &mut self.batch.running[index];
        let Some(Work::Generate(sequence)) = &mut running.work else { return };
        let vocabulary = &self.state.language.vocabulary;
        let token = guarded(|| sequence.accept(logits, vocabulary).map_err(|e| e.to_string()));
        let token = match token {
            Ok(token) => token,
            Err(error) => return self.fail(&[index], &error),
        };
        let top = running.job.params.top_logprobs;
        let logprobs = top.map(|top| TokenLogprobs::new(logits, token.id, top));
        // Counted before it is sent: a client that has the last token finds it in the metrics.
        self.state.metrics.generated_tokens.inc();
        if let Some(finish) = token.finish {
            self.end(index, finish);
        }
        self.batch.running[index].send(EventKind::Token(token, logprobs));
    }

    /// Reports once that the prompt of a sequence was processed.
    fn report_prefill(&mut self, index: usize) {
        let running = &mut self.batch.running[index];
        if !running.prefill_reported {
            self.state.metrics.prompt_tokens.inc_by(running.job.prompt.len() as u64);
            running.report_prefill();
        }
    }

    fn end(&mut self, index: usize, finish: FinishReason) {
        let reason = finish.name();
        self.state.metrics.ended.get_or_create_owned(&ReasonLabel { reason }).inc();
        self.batch.running[index].work = None;
    }

    fn fail(&mut self, batch: &[usize], error: &str) {
        (self.log)(&format!("{} sequences failed: {error}", batch.len()));
        let label = ReasonLabel { reason: "failed" };
        self.state.metrics.ended.get_or_create_owned(&label).inc_by(batch.len() as u64);
        for index in batch {
            self.batch.running[*index].work = None;
            self.batch.running[*index].send(EventKind::Failed(error.to_string()));
        }
    }
}

/// Turns a panic of `work` into an error, so that only the sequences in it are lost.
fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    // Caches that a panic leaves half written are dropped with their sequences.
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|panic| Err(format!("bug: {}", panic_message(&*panic))))
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use slicegpt_corpus::Vocabulary;
    use slicegpt_generate::GenerationConfig;
    use slicegpt_models::Cache;
    use slicegpt_testkit::fixtures;
    use tokio::sync::Semaphore;

    use super::*;
    use crate::language::Language;
    use crate::limits::Limits;
    use crate::request::fields::Fields;
    use crate::request::params::Params;
    use crate::schedule::forward::Logits;
    use crate::schedule::job::{Client, Event};

    /// A model to which all tokens are equally likely.
    struct Uniform;

    impl Forward for Uniform {
        fn prefill(&self, _: &[u32], _: &Cache) -> Result<(), String> {
            Ok(())
        }

        fn prompt_logits(
            &self,
            _: &[u32],
            _: &Cache,
            _: &mut dyn FnMut(&[f32]),
        ) -> Result<(), String> {
            Ok(())
        }

        fn decode(&self, batch: &[(&[u32], &Cache)]) -> Result<Vec<Logits>, String> {
            Ok(vec![Ok(vec![0.0; 2048]); batch.len()])
        }

        fn cache_bytes(&self, _: usize) -> u64 {
            1
        }
    }

    fn state(limits: Limits) -> Arc<ServerState> {
        let directory = fixtures().join("models/ts-llama3-gqa");
        let language = Language {
            name: "m".into(),
            vocabulary: Arc::new(Vocabulary::open(&directory).unwrap()),
            template: Err("none".into()),
            defaults: GenerationConfig::default(),
            context_length: 512,
            vocab_size: 2048,
        };
        Arc::new(ServerState::new(language, limits, 512))
    }

    fn params() -> Arc<Params> {
        let mut fields = Fields::parse(br#"{"model": "m", "ignore_eos": true}"#).unwrap();
        Arc::new(Params::take(&mut fields, "m", &GenerationConfig::default()).unwrap())
    }

    /// A sequence of at most `max_tokens` tokens, whose client has room for `room` events.
    fn job(max_tokens: usize, room: usize) -> (Job, tokio::sync::mpsc::Receiver<Event>) {
        let (events, receiver) = tokio::sync::mpsc::channel(room);
        let job = Job {
            index: 0,
            prompt: vec![5].into(),
            params: params(),
            seed: 0,
            max_tokens,
            events,
            client: Arc::new(Client::new(|| {})),
            slot: Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap(),
        };
        (job, receiver)
    }

    /// The place of a sequence whose client does not read goes to one that waits; later it goes on
    /// where it was.
    #[test]
    fn a_sequence_that_nobody_reads_gives_its_place_away() {
        let state = state(Limits { sequences: 1, ..Limits::default() });
        let (sender, jobs) = channel();
        let mut scheduler = Scheduler::new(state.clone(), &Uniform, jobs, &|_| {});
        let steps = |scheduler: &mut Scheduler<'_>| {
            for _ in 0..20 {
                scheduler.batch.retire();
                scheduler.batch.admit(&Uniform);
                scheduler.step();
            }
        };
        let ((slow, mut slow_events), (other, mut other_events)) = (job(6, 2), job(3, 100));
        sender.send(slow).unwrap();
        scheduler.receive(None);
        steps(&mut scheduler);
        sender.send(other).unwrap();
        scheduler.receive(None);
        steps(&mut scheduler);
        assert!(other_events.try_recv().is_err(), "the client has time to read");
        std::thread::sleep(Duration::from_millis(600));
        steps(&mut scheduler);
        let mut count = |events: &mut tokio::sync::mpsc::Receiver<Event>| {
            let mut tokens = 0;
            for _ in 0..20 {
                while let Ok(event) = events.try_recv() {
                    tokens += usize::from(matches!(event.kind, EventKind::Token(..)));
                }
                steps(&mut scheduler);
            }
            tokens
        };
        assert_eq!(count(&mut other_events), 3);
        assert_eq!(count(&mut slow_events), 6);
        assert_eq!(state.metrics.generated_tokens.get(), 9);
        assert!(scheduler.batch.running.is_empty() && !scheduler.batch.has_paused());
    }

    #[test]
    fn a_sequence_ends_for_one_reason() {
        let state = state(Limits { stall: Duration::ZERO, ..Limits::default() });
        let mut fields = Fields::parse(br#"{"model": "m"}"#).unwrap();
        let params = Params::take(&mut fields, "m", &GenerationConfig::default()).unwrap();
        let (params, client) = (Arc::new(params), Arc::new(Client::new(|| {})));
        let (sender, jobs) = channel();
        let slots = Arc::new(Semaphore::new(2));
        // The channel has room for one event, and its receiver never reads.
        let (events, _receiver) = tokio::sync::mpsc::channel::<Event>(1);
        for max_tokens in [1, 5] {
            let job = Job {
                index: 0,
                prompt: vec![5].into(),
                params: params.clone(),
                seed: 0,
                max_tokens,
                events: events.clone(),
                client: client.clone(),
                slot: slots.clone().try_acquire_owned().unwrap(),
            };
            sender.send(job).unwrap();
        }
        let mut scheduler = Scheduler::new(state.clone(), &Uniform, jobs, &|_| {});
        scheduler.receive(None);
        scheduler.batch.admit(&Uniform);
        assert!(scheduler.step());
        std::thread::sleep(Duration::from_millis(1));
        scheduler.batch.retire();
        assert!(scheduler.batch.running.is_empty());
        let count = |reason| state.metrics.ended.get_or_create_owned(&ReasonLabel { reason }).get();
        assert_eq!(["length", "stalled", "gone", "stop"].map(count), [1, 1, 0, 0]);
    }
}
