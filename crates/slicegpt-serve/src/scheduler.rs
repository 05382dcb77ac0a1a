//! [`Scheduler`]: which texts the model runs next.
//!
//! Texts wait in the order they came until there is room among those on their way, in number and in
//! memory for the whole of their caches, so that none that has begun must be put off for want of it.
//! A step reads some tokens of prompts, a bounded number, and gives every text whose prompt has been
//! read its next token.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use slicegpt_generate::{Finish, Score};

use crate::app::App;
use crate::forward::Forward;
use crate::job::{Job, What};
use crate::metrics::Reason;
use crate::running::{Need, Running, Work};

/// Tokens of prompts that are read in a step: others wait for their next token as long as that takes.
const TOKENS: usize = 512;

/// How long it waits for work when there is none.
const IDLE: Duration = Duration::from_millis(50);

/// How long it waits when all texts wait for their readers.
const BLOCKED: Duration = Duration::from_millis(2);

/// Runs texts, all of them together.
pub struct Scheduler<'a> {
    app: Arc<App>,
    forward: &'a dyn Forward,
    jobs: Receiver<Job>,
    log: &'a dyn Fn(&str),
    waiting: VecDeque<Job>,
    running: Vec<Running>,
    /// How often readers were given what waits for them.
    rounds: usize,
}

impl<'a> Scheduler<'a> {
    pub fn new(
        app: Arc<App>,
        forward: &'a dyn Forward,
        jobs: Receiver<Job>,
        log: &'a dyn Fn(&str),
    ) -> Self {
        let (waiting, running) = (VecDeque::new(), Vec::new());
        Self { app, forward, jobs, log, waiting, running, rounds: 0 }
    }

    /// Runs what comes until it is `over`.
    pub fn run(mut self, over: impl Fn() -> bool) {
        let mut wait = Some(IDLE);
        while !over() && self.receive(wait) {
            self.leave();
            self.join();
            let worked = self.step();
            wait = match worked {
                true => None,
                false if self.running.is_empty() => Some(IDLE),
                false => Some(BLOCKED),
            };
        }
    }

    /// Takes what was asked for, waiting for the first of it; false if nobody can ask any more.
    fn receive(&mut self, wait: Option<Duration>) -> bool {
        if let Some(wait) = wait {
            match self.jobs.recv_timeout(wait) {
                Ok(job) => self.waiting.push_back(job),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
        self.waiting.extend(self.jobs.try_iter());
        true
    }

    /// Lets go of texts that nobody waits for, or that have ended.
    fn leave(&mut self) {
        let count = |reason, count: usize| {
            if count > 0 {
                let ended = self.app.metrics.ended.get_or_create_owned(&Reason { reason });
                ended.inc_by(count as u64);
            }
        };
        let before = self.waiting.len();
        self.waiting.retain(|job| !job.events.is_closed());
        count("gone", before - self.waiting.len());
        // Texts of one request share what its reader takes: each is the first in its turn.
        let first = self.rounds % self.running.len().max(1);
        self.rounds = self.rounds.wrapping_add(1);
        let (behind, before) = self.running.split_at_mut(first);
        before.iter_mut().chain(behind).for_each(Running::flush);
        self.running.retain(|running| !running.is_over());
        // One whose last token only waits for its reader has ended already.
        let mut lose = |reason, lost: &dyn Fn(&Running) -> bool| {
            let mut ended = 0;
            self.running.retain(|running| {
                let lost = lost(running);
                ended += usize::from(lost && running.work.is_some());
                !lost
            });
            count(reason, ended);
        };
        let most = self.app.limits.stall;
        lose("gone", &|running| running.job.events.is_closed());
        lose("stalled", &|running| running.is_stalled(most));
    }

    /// Lets texts in that there is room for.
    fn join(&mut self) {
        let mut bytes: u64 = self.running.iter().map(|running| running.bytes).sum();
        while let Some(job) = self.waiting.front() {
            let more = self.forward.cache_bytes(job.prompt.len() + job.most);
            let full = self.running.len() >= self.app.limits.sequences;
            if full || bytes + more > self.app.limits.cache_bytes {
                break;
            }
            bytes += more;
            if let Some(job) = self.waiting.pop_front() {
                self.running.push(Running::new(job, more, self.app.context));
            }
        }
        let metrics = &self.app.metrics;
        metrics.waiting.set(self.waiting.len() as i64);
        metrics.running.set(self.running.len() as i64);
        metrics.cache_bytes.set(bytes as i64);
    }

    /// Runs the model once for whoever can go on; whether there was anybody.
    fn step(&mut self) -> bool {
        let mut left = TOKENS;
        let mut worked = false;
        let mut together = Vec::new();
        for at in 0..self.running.len() {
            let Some(need) = self.running[at].need() else { continue };
            match need {
                Need::Token(1) => together.push(at),
                Need::Token(tokens) if tokens <= left => {
                    left -= tokens;
                    together.push(at);
                }
                Need::Scores(_) | Need::Token(_) if left == 0 => continue,
                Need::Token(_) => {
                    self.read(at, left);
                    left = 0;
                }
                Need::Scores(tokens) => {
                    self.score(at, tokens.min(left));
                    left -= tokens.min(left);
                }
                Need::Nothing => {
                    self.end(at, Finish::Length);
                    self.was_read(at);
                }
            }
            worked = true;
        }
        if !together.is_empty() {
            self.write(&together);
        }
        worked
    }

    /// Reads some tokens of a prompt.
    fn read(&mut self, at: usize, tokens: usize) {
        let running = &self.running[at];
        let (_, ids) = running.unseen(tokens);
        let Some(cache) = running.cache() else { return };
        if let Err(error) = guarded(|| self.forward.read(ids, cache)) {
            self.fail(&[at], &error);
        }
    }

    /// Reads some tokens of a prompt, and how likely those after them were.
    fn score(&mut self, at: usize, tokens: usize) {
        let running = &self.running[at];
        let (mut next, ids) = running.unseen(tokens);
        let Some(cache) = running.cache() else { return };
        let most = running.job.asked.alternatives.unwrap_or(0);
        let mut scores = Vec::with_capacity(tokens);
        let result = guarded(|| {
            self.forward.each(ids, cache, &mut |logits| {
                next += 1;
                scores.push(Score::of(logits, running.job.prompt[next], most));
            })
        });
        match result {
            Ok(()) => self.running[at].scores.append(&mut scores),
            Err(error) => self.fail(&[at], &error),
        }
    }

    /// Gives some texts their next token.
    fn write(&mut self, together: &[usize]) {
        let sequences = together.iter().filter_map(|at| match self.running[*at].work.as_ref()? {
            Work::Write(sequence) => Some(sequence.next()),
            Work::Read(_) => None,
        });
        let sequences: Vec<_> = sequences.collect();
        let logits = match guarded(|| self.forward.next(&sequences)) {
            Ok(logits) => logits,
            Err(error) => return self.fail(together, &error),
        };
        self.app.metrics.steps.inc();
        for (at, logits) in together.iter().zip(logits) {
            match logits {
                Ok(logits) => {
                    self.was_read(*at);
                    self.accept(*at, &logits);
                }
                Err(error) => self.fail(&[*at], &error),
            }
        }
    }

    fn accept(&mut self, at: usize, logits: &[f32]) {
        let running = &mut self.running[at];
        let Some(Work::Write(sequence)) = &mut running.work else { return };
        let vocabulary = &self.app.language.vocabulary;
        let piece = guarded(|| sequence.accept(logits, vocabulary).map_err(|e| e.to_string()));
        let piece = match piece {
            Ok(piece) => piece,
            Err(error) => return self.fail(&[at], &error),
        };
        let alternatives = running.job.asked.alternatives;
        let score = alternatives.map(|most| Score::of(logits, piece.id, most));
        // Whoever has the last token finds it counted.
        self.app.metrics.generated_tokens.inc();
        if let Some(finish) = piece.finish {
            self.end(at, finish);
        }
        self.running[at].tell(What::Token(piece, score));
    }

    fn was_read(&mut self, at: usize) {
        let running = &mut self.running[at];
        if !running.told_read {
            self.app.metrics.prompt_tokens.inc_by(running.job.prompt.len() as u64);
            running.tell_read();
        }
    }

    fn end(&mut self, at: usize, finish: Finish) {
        let reason = match finish {
            Finish::Stop => "stop",
            Finish::Length => "length",
        };
        self.app.metrics.ended.get_or_create_owned(&Reason { reason }).inc();
        self.running[at].work = None;
    }

    fn fail(&mut self, texts: &[usize], error: &str) {
        (self.log)(&format!("{} texts failed: {error}", texts.len()));
        let failed = self.app.metrics.ended.get_or_create_owned(&Reason { reason: "failed" });
        failed.inc_by(texts.len() as u64);
        for at in texts {
            self.running[*at].work = None;
            self.running[*at].tell(What::Failed(error.to_string()));
        }
    }
}

/// What goes wrong is told to those it concerns, and the server lives on.
fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    // Caches that a panic left half written are dropped with their texts.
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|panic| Err(format!("bug: {}", said(&*panic))))
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use slicegpt_corpus::Vocabulary;
    use slicegpt_generate::Defaults;
    use slicegpt_models::Cache;
    use slicegpt_testkit::fixtures;
    use tokio::sync::Semaphore;

    use super::*;
    use crate::asked::Asked;
    use crate::fields::Fields;
    use crate::forward::Logits;
    use crate::job::Event;
    use crate::language::Language;
    use crate::limits::Limits;

    /// Any token is as likely as any other.
    struct Even;

    impl Forward for Even {
        fn read(&self, _: &[u32], _: &Cache) -> Result<(), String> {
            Ok(())
        }

        fn each(&self, _: &[u32], _: &Cache, _: &mut dyn FnMut(&[f32])) -> Result<(), String> {
            Ok(())
        }

        fn next(&self, sequences: &[(&[u32], &Cache)]) -> Result<Vec<Logits>, String> {
            Ok(vec![Ok(vec![0.0; 2048]); sequences.len()])
        }

        fn cache_bytes(&self, _: usize) -> u64 {
            1
        }
    }

    fn app() -> Arc<App> {
        let directory = fixtures().join("models/ts-llama3-gqa");
        let language = Language {
            name: "m".into(),
            vocabulary: Arc::new(Vocabulary::open(&directory).unwrap()),
            template: Err("none".into()),
            defaults: Defaults::default(),
            context_length: 512,
            vocab_size: 2048,
        };
        let limits = Limits { stall: Duration::ZERO, ..Limits::default() };
        Arc::new(App::new(language, limits, None, 512, 0, channel().0))
    }

    #[test]
    fn a_text_ends_for_one_reason() {
        let app = app();
        let mut fields = Fields::parse(br#"{"model": "m"}"#).unwrap();
        let asked = Arc::new(Asked::take(&mut fields, "m", &Defaults::default()).unwrap());
        let (sender, jobs) = channel();
        let places = Arc::new(Semaphore::new(2));
        // There is room for the one's prompt, and nobody takes it.
        let (events, _reader) = tokio::sync::mpsc::channel::<Event>(1);
        for most in [1, 5] {
            let job = Job {
                index: 0,
                prompt: vec![5].into(),
                asked: asked.clone(),
                seed: 0,
                most,
                events: events.clone(),
                stalled: Arc::default(),
                place: places.clone().try_acquire_owned().unwrap(),
            };
            sender.send(job).unwrap();
        }
        let mut scheduler = Scheduler::new(app.clone(), &Even, jobs, &|_| {});
        scheduler.receive(None);
        scheduler.join();
        assert!(scheduler.step());
        std::thread::sleep(Duration::from_millis(1));
        scheduler.leave();
        assert!(scheduler.running.is_empty());
        let count = |reason| app.metrics.ended.get_or_create_owned(&Reason { reason }).get();
        assert_eq!(["length", "stalled", "gone", "stop"].map(count), [1, 1, 0, 0]);
    }
}
