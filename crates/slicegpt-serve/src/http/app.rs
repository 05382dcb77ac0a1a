//! [`App`]: the state that all handlers share, and the way from a request to jobs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, mpsc};
use tokio::time::{Instant, sleep, timeout_at};

use crate::error::ApiError;
use crate::http::body::Bodies;
use crate::http::cors::Origin;
use crate::http::expiry::Expiry;
use crate::http::options::Options;
use crate::request::params::{Params, ReasoningFormat};
use crate::request::prompt::{PromptInput, PromptTokenizer, TokenizedPrompt};
use crate::response::output::{CompletionState, RequestOutput, ResponseFormat, Ticket};
use crate::response::stream::stream;
use crate::schedule::budget::Budget;
use crate::schedule::cancel::CancelOnDrop;
use crate::schedule::job::{Client, Job};
use crate::state::ServerState;

/// Minimum capacity of the channel for the events of a request.
const EVENTS: usize = 32;

/// Requests of an endpoint that are parsed and tokenised at the same time. A parsed request can be
/// many times as large as its body, so the others wait as bodies.
const TURNS: usize = 2;

/// How long a request waits for the slots and the memory of requests whose clients do not read.
const ROOM_TIME: Duration = Duration::from_secs(2);

/// How often it checks.
const ROOM_TICK: Duration = Duration::from_millis(10);

/// A request that has arrived: until when it must be answered, and its connection.
#[derive(Clone)]
pub struct Arrival {
    pub deadline: Instant,
    connection: Option<Expiry>,
}

/// The state that all handlers share.
pub struct App {
    pub state: Arc<ServerState>,
    pub api_key: Option<String>,
    /// The origins whose pages may read the responses in a browser.
    pub origins: Vec<Origin>,
    /// Where reasoning is returned, unless a request says so.
    pub reasoning_format: ReasoningFormat,
    /// Set during shutdown: no more requests are accepted.
    pub closing: AtomicBool,
    /// Number of requests whose response is not complete.
    pub active: AtomicUsize,
    jobs: Sender<Job>,
    /// One permit per sequence, waiting or running.
    slots: Arc<Semaphore>,
    /// Memory of responses.
    budget: Budget,
    /// Memory of requests.
    pub bodies: Bodies,
    /// One permit per request that may be parsed and tokenised now: prompts, and conversations,
    /// whose templates may be slow.
    pub turns: [Arc<Semaphore>; 2],
    tokenizer: PromptTokenizer,
    /// The number of the next request.
    next_request: AtomicU64,
    /// The seed of the next completion whose request sets none.
    next_seed: AtomicU64,
}

impl App {
    pub fn new(state: Arc<ServerState>, options: Options, jobs: Sender<Job>) -> Self {
        let limits = &state.limits;
        let Options { api_key, origins, reasoning_format, seed, limits: _ } = options;
        Self {
            api_key,
            origins,
            reasoning_format,
            jobs,
            closing: AtomicBool::new(false),
            active: AtomicUsize::new(0),
            slots: Arc::new(Semaphore::new(limits.sequences + limits.queue)),
            budget: Budget::new(limits.answer_bytes),
            bodies: Bodies::new(limits.body_bytes, limits.bodies_bytes, limits.stall),
            turns: [(); 2].map(|()| Arc::new(Semaphore::new(TURNS))),
            tokenizer: PromptTokenizer::new(&state.language, state.context),
            next_request: AtomicU64::new(0),
            next_seed: AtomicU64::new(seed),
            state,
        }
    }

    /// The deadline of a request that arrives now.
    pub fn deadline(&self) -> Instant {
        Instant::now() + self.state.limits.request
    }

    /// The arrival of `request`.
    pub fn arrival(&self, request: &Request) -> Arrival {
        let connection = request.extensions().get::<Expiry>().cloned();
        Arrival { deadline: self.deadline(), connection }
    }

    /// Waits for the turn of a request to be parsed and tokenised.
    pub async fn turn(
        turns: &Arc<Semaphore>,
        arrival: &Arrival,
    ) -> Result<OwnedSemaphorePermit, ApiError> {
        match timeout_at(arrival.deadline, turns.clone().acquire_owned()).await {
            Err(_) => Err(ApiError::response_timeout()),
            Ok(turn) => turn.map_err(|_| ApiError::shutting_down()),
        }
    }

    /// Answers a request, whose `turn` ends with its tokenisation. `default_max_tokens` bounds each
    /// completion if the request sets no `max_tokens` and there is room.
    pub async fn answer<F: ResponseFormat>(
        self: Arc<Self>,
        params: Params,
        prompts: Vec<PromptInput>,
        default_max_tokens: usize,
        format: F,
        turn: OwnedSemaphorePermit,
        arrival: Arrival,
    ) -> Result<Response, ApiError> {
        let Arrival { deadline, connection } = arrival;
        let count = prompts.len() * params.n;
        let slots = self.find_room(|| self.acquire_slots(count)).await?;
        let (slots, prompts) = self.clone().tokenise(prompts, slots, turn, deadline).await?;
        let default = default_max_tokens.min(self.budget.default_max_tokens(&params));
        let max_tokens = prompts.iter();
        let max_tokens =
            max_tokens.map(|prompt| self.max_tokens(prompt, params.max_tokens, default));
        let max_tokens = max_tokens.collect::<Result<Vec<_>, _>>()?;
        let reserve = || self.budget.reserve(&params, &prompts, &max_tokens);
        let memory = self.find_room(reserve).await?;
        let (streams, usage) = (params.stream, params.include_usage);
        let ticket = Ticket { id: self.next_request(), deadline, memory };
        let client = Client::new(move || connection.iter().for_each(Expiry::close));
        let output = self.submit(params, prompts, max_tokens, slots, ticket, client)?;
        if streams { stream(output, format, usage).await } else { output.collect(format).await }
    }

    /// The result of `attempt`. While it fails for lack of slots or memory, requests whose clients
    /// do not read are dropped.
    async fn find_room<T>(
        &self,
        attempt: impl Fn() -> Result<T, ApiError> + Send,
    ) -> Result<T, ApiError> {
        let end = Instant::now() + ROOM_TIME;
        loop {
            match attempt() {
                Err(error)
                    if error.status == StatusCode::TOO_MANY_REQUESTS
                        && self.state.stalled.load(Ordering::SeqCst) > 0
                        && Instant::now() < end =>
                {
                    self.state.needs_room.store(true, Ordering::SeqCst);
                    sleep(ROOM_TICK).await;
                }
                result => return result,
            }
        }
    }

    /// Slots for `count` sequences.
    fn acquire_slots(&self, count: usize) -> Result<OwnedSemaphorePermit, ApiError> {
        let all = self.state.limits.sequences + self.state.limits.queue;
        if count > all {
            let message = format!(
                "{count} completions are requested at once; this server accepts {all} at most"
            );
            return Err(ApiError::invalid("prompt", "invalid_value", message));
        }
        match self.slots.clone().try_acquire_many_owned(count as u32) {
            Ok(slots) => Ok(slots),
            Err(TryAcquireError::NoPermits) => Err(ApiError::queue_full()),
            Err(TryAcquireError::Closed) => Err(ApiError::shutting_down()),
        }
    }

    /// Tokenises prompts on the blocking pool. The task holds the slots and the turn until it ends,
    /// even if the client has disconnected by then.
    async fn tokenise(
        self: Arc<Self>,
        prompts: Vec<PromptInput>,
        slots: OwnedSemaphorePermit,
        turn: OwnedSemaphorePermit,
        deadline: Instant,
    ) -> Result<(OwnedSemaphorePermit, Vec<TokenizedPrompt>), ApiError> {
        let task = CancelOnDrop::new(move |cancelled| {
            let prompts = prompts.into_iter().map(|prompt| {
                if cancelled.get() {
                    return Err(ApiError::response_timeout());
                }
                let cancelled = cancelled.clone();
                self.tokenizer.tokenise(prompt, &self.state.language, move || cancelled.get())
            });
            let prompts = prompts.collect::<Result<_, _>>()?;
            drop(turn);
            Ok((slots, prompts))
        });
        match timeout_at(deadline, task).await {
            Err(_) => Err(ApiError::response_timeout()),
            Ok(Err(panic)) => {
                Err(ApiError::internal(format!("the prompt could not be tokenised: {panic}")))
            }
            Ok(Ok(result)) => result,
        }
    }

    /// The maximum number of tokens to generate after a prompt: what is `requested`, or else
    /// `default`, as far as the context has room.
    fn max_tokens(
        &self,
        prompt: &TokenizedPrompt,
        requested: Option<usize>,
        default: usize,
    ) -> Result<usize, ApiError> {
        let context = self.state.context;
        let tokens = prompt.ids.len();
        let room = context.saturating_sub(tokens);
        let max_tokens = requested.unwrap_or(default.min(room).max(1));
        if tokens <= context && max_tokens <= room {
            return Ok(max_tokens);
        }
        let message = format!(
            "This model's maximum context length is {context} tokens. However, you requested {} \
             tokens ({tokens} in the prompt; {max_tokens} in the completion). Please reduce the \
             length of the prompt or completion.",
            tokens + max_tokens
        );
        Err(ApiError::invalid("prompt", "context_length_exceeded", message))
    }

    fn next_request(&self) -> u64 {
        self.next_request.fetch_add(1, Ordering::Relaxed)
    }

    /// Sends the jobs of a request to the thread that runs the model.
    fn submit(
        &self,
        params: Params,
        prompts: Vec<TokenizedPrompt>,
        max_tokens: Vec<usize>,
        mut slots: OwnedSemaphorePermit,
        ticket: Ticket,
        client: Client,
    ) -> Result<RequestOutput, ApiError> {
        let count = prompts.len() * params.n;
        let (sender, events) = mpsc::channel(EVENTS.max(2 * count));
        let mut completions = Vec::with_capacity(count);
        let (params, client) = (Arc::new(params), Arc::new(client));
        let next_seed = || self.next_seed.fetch_add(params.n as u64, Ordering::Relaxed);
        for (TokenizedPrompt { ids, text }, max_tokens) in prompts.into_iter().zip(max_tokens) {
            let (prompt, text) = (Arc::<[u32]>::from(ids), Arc::<str>::from(text));
            let seed = params.seed.unwrap_or_else(next_seed);
            for nth in 0..params.n {
                let job = Job {
                    index: completions.len(),
                    prompt: prompt.clone(),
                    params: params.clone(),
                    seed: seed.wrapping_add(nth as u64),
                    max_tokens,
                    events: sender.clone(),
                    client: client.clone(),
                    slot: slots.split(1).expect("a slot was acquired for each completion"),
                };
                self.jobs.send(job).map_err(|_| ApiError::shutting_down())?;
                completions.push(CompletionState::new(prompt.clone(), text.clone(), max_tokens));
            }
        }
        Ok(RequestOutput::new(self.state.clone(), &params, completions, events, ticket))
    }
}
