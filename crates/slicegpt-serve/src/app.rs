//! [`App`]: what all handlers share, and how a request becomes jobs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::response::Response;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, mpsc};
use tokio::time::{Instant, timeout_at};

use crate::answer::{Answer, Shape, Text};
use crate::asked::Asked;
use crate::budget::Budget;
use crate::error::ApiError;
use crate::job::Job;
use crate::language::Language;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::prompt::{Prompt, Reader, Tokenised};
use crate::stream::stream;
use crate::tokens::Namer;
use crate::wanted::Wanted;

/// Events of a request that wait for its reader, at least.
const EVENTS: usize = 32;

/// What all handlers share.
pub struct App {
    pub language: Language,
    pub limits: Limits,
    pub metrics: Metrics,
    pub api_key: Option<String>,
    /// Tokens of a text with its prompt: what the model sees, and the cache has room for.
    pub context: usize,
    /// When the server was started, in seconds since 1970.
    pub started: u64,
    /// No more requests are taken.
    pub closing: AtomicBool,
    /// Requests that are being answered.
    pub active: AtomicUsize,
    jobs: Sender<Job>,
    /// Places of texts, waiting or run.
    places: Arc<Semaphore>,
    /// Memory of answers.
    budget: Budget,
    reader: Reader,
    requests: AtomicU64,
    /// The seed of the next text that asks for none.
    seed: AtomicU64,
}

impl App {
    pub fn new(
        language: Language,
        limits: Limits,
        api_key: Option<String>,
        context: usize,
        seed: u64,
        jobs: Sender<Job>,
    ) -> Self {
        Self {
            api_key,
            context,
            jobs,
            started: now(),
            metrics: Metrics::default(),
            closing: AtomicBool::new(false),
            active: AtomicUsize::new(0),
            places: Arc::new(Semaphore::new(limits.sequences + limits.queue)),
            budget: Budget::new(limits.answer_bytes),
            reader: Reader::new(&language, context),
            requests: AtomicU64::new(0),
            seed: AtomicU64::new(seed),
            language,
            limits,
        }
    }

    /// When a request that comes now must have been answered.
    pub fn deadline(&self) -> Instant {
        Instant::now() + self.limits.request
    }

    /// Answers what is asked of `prompts`; `most` tokens follow each where nothing else is said, if there
    /// is room.
    pub async fn answer<S: Shape>(
        self: Arc<Self>,
        asked: Asked,
        prompts: Vec<Prompt>,
        most: usize,
        shape: S,
        deadline: Instant,
    ) -> Result<Response, ApiError> {
        let places = self.places(prompts.len() * asked.n)?;
        let (places, prompts) = self.clone().tokenise(prompts, places, deadline).await?;
        let most = most.min(self.budget.room(&asked));
        let lengths = prompts.iter().map(|prompt| self.length(prompt, asked.most, most));
        let lengths = lengths.collect::<Result<Vec<_>, _>>()?;
        let share = self.budget.share(&asked, &prompts, &lengths)?;
        let stream_usage = (asked.stream, asked.usage);
        let answer = self.begin(asked, prompts, lengths, (places, share), deadline)?;
        match stream_usage {
            (true, usage) => stream(answer, shape, usage).await,
            (false, _) => answer.whole(shape).await,
        }
    }

    /// Places for `count` texts.
    fn places(&self, count: usize) -> Result<OwnedSemaphorePermit, ApiError> {
        let all = self.limits.sequences + self.limits.queue;
        if count > all {
            let message =
                format!("{count} texts are asked for at once; this server takes {all} at most");
            return Err(ApiError::invalid("prompt", "invalid_value", message));
        }
        match self.places.clone().try_acquire_many_owned(count as u32) {
            Ok(places) => Ok(places),
            Err(TryAcquireError::NoPermits) => Err(ApiError::full()),
            Err(TryAcquireError::Closed) => Err(ApiError::closing()),
        }
    }

    /// The tokens of prompts, made where nobody waits. The places are kept until it has ended, even if
    /// the client is gone by then.
    async fn tokenise(
        self: Arc<Self>,
        prompts: Vec<Prompt>,
        places: OwnedSemaphorePermit,
        deadline: Instant,
    ) -> Result<(OwnedSemaphorePermit, Vec<Tokenised>), ApiError> {
        let work = Wanted::new(move |gone| {
            let prompts = prompts.into_iter().map(|prompt| match gone() {
                true => Err(ApiError::took_too_long()),
                false => self.reader.tokenise(prompt, &self.language),
            });
            Ok((places, prompts.collect::<Result<_, _>>()?))
        });
        match timeout_at(deadline, work).await {
            Err(_) => Err(ApiError::took_too_long()),
            Ok(Err(panic)) => Err(ApiError::internal(format!("the prompt was not read: {panic}"))),
            Ok(Ok(result)) => result,
        }
    }

    /// How many tokens may follow a prompt.
    fn length(
        &self,
        prompt: &Tokenised,
        asked: Option<usize>,
        most: usize,
    ) -> Result<usize, ApiError> {
        let tokens = prompt.ids.len();
        let room = self.context.saturating_sub(tokens);
        let wanted = asked.unwrap_or(most.min(room).max(1));
        if tokens <= self.context && wanted <= room {
            return Ok(wanted);
        }
        let message = format!(
            "This model's maximum context length is {} tokens. However, you requested {} tokens ({tokens} in \
             the prompt; {wanted} in the completion). Please reduce the length of the prompt or completion.",
            self.context,
            tokens + wanted
        );
        Err(ApiError::invalid("prompt", "context_length_exceeded", message))
    }

    /// Hands the texts over to the thread that runs the model.
    fn begin(
        self: Arc<Self>,
        asked: Asked,
        prompts: Vec<Tokenised>,
        lengths: Vec<usize>,
        (mut places, share): (OwnedSemaphorePermit, OwnedSemaphorePermit),
        deadline: Instant,
    ) -> Result<Answer, ApiError> {
        let count = prompts.len() * asked.n;
        let (sender, events) = mpsc::channel(EVENTS.max(2 * count));
        let prompt_tokens = prompts.iter().map(|prompt| prompt.ids.len()).sum();
        let mut texts = Vec::with_capacity(count);
        let (asked, stalled) = (Arc::new(asked), Arc::default());
        let next = || self.seed.fetch_add(asked.n as u64, Ordering::Relaxed);
        for (Tokenised { ids, text }, most) in prompts.into_iter().zip(lengths) {
            let (prompt, prompt_text) = (Arc::<[u32]>::from(ids), Arc::<str>::from(text));
            let seed = asked.seed.unwrap_or_else(next);
            for nth in 0..asked.n {
                let job = Job {
                    index: texts.len(),
                    prompt: prompt.clone(),
                    asked: asked.clone(),
                    seed: seed.wrapping_add(nth as u64),
                    most,
                    events: sender.clone(),
                    stalled: Arc::clone(&stalled),
                    place: places.split(1).expect("there is a place for each text"),
                };
                self.jobs.send(job).map_err(|_| ApiError::closing())?;
                texts.push(Text {
                    namer: Namer::after(&prompt),
                    prompt: prompt.clone(),
                    prompt_text: prompt_text.clone(),
                    goes_on: most > 0,
                });
            }
        }
        Ok(Answer {
            events,
            left: texts.len(),
            texts,
            echo: asked.echo,
            told: asked.alternatives.is_some(),
            prompt_tokens,
            completion_tokens: 0,
            deadline,
            id: self.requests.fetch_add(1, Ordering::Relaxed),
            created: now(),
            share: Some(share),
            app: self,
        })
    }
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
