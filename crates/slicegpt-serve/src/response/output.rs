//! [`RequestOutput`]: the completions of a request while they are generated; [`ResponseFormat`]:
//! the JSON that an endpoint makes of them.

use std::sync::Arc;

use axum::response::Response;
use serde::Serialize;
use serde_json::Value;
use slicegpt_corpus::CorpusError;
use slicegpt_generate::{FinishReason, TokenLogprobs};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, timeout_at};

use crate::error::ApiError;
use crate::request::params::{Params, ReasoningFormat};
use crate::response::chunked::chunked;
use crate::response::logprobs::{LogprobEntry, LogprobTexts};
use crate::response::reasoning::{Reasoning, Separated};
use crate::schedule::cancel::CancelOnDrop;
use crate::schedule::job::{Event, EventKind};
use crate::state::{ServerState, unix_seconds};

/// New output of a completion; or all of its output, which is the sum of these.
#[derive(Debug)]
pub struct Delta {
    /// Index of the completion within its request.
    pub index: usize,
    pub text: String,
    /// The reasoning before the text, if it is returned separately.
    pub reasoning: String,
    /// The tokens with their logprobs, if requested.
    pub logprobs: Option<Vec<LogprobEntry>>,
    /// Set with the last token.
    pub finish: Option<FinishReason>,
}

impl Delta {
    /// The empty output of completion `index`.
    fn empty(index: usize, logprobs: bool) -> Self {
        let (text, reasoning) = (String::new(), String::new());
        Self { index, text, reasoning, logprobs: logprobs.then(Vec::new), finish: None }
    }

    /// `finish_reason` of OpenAI's API.
    pub fn finish_reason(&self) -> Option<&'static str> {
        self.finish.map(FinishReason::name)
    }
}

/// The JSON that an endpoint returns.
pub trait ResponseFormat: Send + Sync + 'static {
    /// What the `id` of a response begins with.
    const ID_PREFIX: &'static str;
    /// The `object` of a response.
    const OBJECT: &'static str;
    /// The `object` of a chunk of a stream.
    const CHUNK_OBJECT: &'static str;

    /// The choice that opens the stream of completion `index` before any text, if there is one.
    fn opening_choice(&self, index: usize) -> Option<Value>;

    /// A choice of a response.
    fn choice(&self, output: &Delta) -> impl Serialize;

    /// A choice of a chunk.
    fn chunk_choice(&self, delta: &Delta) -> impl Serialize;
}

/// A completion while it is generated.
pub struct CompletionState {
    /// The tokens and the text of the prompt.
    prompt: Arc<[u32]>,
    prompt_text: Arc<str>,
    /// Whether tokens are generated after the prompt.
    generates: bool,
    texts: LogprobTexts,
    /// Splits reasoning from the text, if it is returned separately.
    reasoning: Option<Reasoning>,
}

impl CompletionState {
    /// A completion of at most `max_tokens` tokens after `prompt`.
    pub fn new(prompt: Arc<[u32]>, prompt_text: Arc<str>, max_tokens: usize) -> Self {
        let texts = LogprobTexts::after(&prompt);
        Self { prompt, prompt_text, generates: max_tokens > 0, texts, reasoning: None }
    }
}

/// What a request holds until its response is sent.
pub struct Ticket {
    /// The number of the request.
    pub id: u64,
    /// When the response must be complete.
    pub deadline: Instant,
    /// Its share of the memory of all responses, released with the last byte.
    pub memory: OwnedSemaphorePermit,
}

/// The completions of a request while they are generated.
pub struct RequestOutput {
    state: Arc<ServerState>,
    events: Receiver<Event>,
    completions: Vec<CompletionState>,
    /// The number of completions that have not ended.
    unfinished: usize,
    echo: bool,
    logprobs: bool,
    /// Each prompt counts once, however many completions follow it.
    prompt_tokens: usize,
    completion_tokens: usize,
    deadline: Instant,
    id: u64,
    /// When the response was created, in seconds since 1970.
    created: u64,
    memory: Option<OwnedSemaphorePermit>,
}

/// The JSON around the choices.
#[derive(Serialize)]
pub struct Envelope<'a, C> {
    id: String,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: Vec<C>,
    /// Absent, null, or token counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Option<Usage>>,
}

/// Token counts of a request.
#[derive(Serialize)]
pub struct Usage {
    prompt_tokens: usize,
    completion_tokens: usize,
    total_tokens: usize,
}

impl RequestOutput {
    /// The output of `completions`, `params.n` for each prompt, whose events arrive on `events`.
    pub fn new(
        state: Arc<ServerState>,
        params: &Params,
        mut completions: Vec<CompletionState>,
        events: Receiver<Event>,
        Ticket { id, deadline, memory }: Ticket,
    ) -> Self {
        if params.reasoning_format == Some(ReasoningFormat::DeepSeek) {
            for completion in &mut completions {
                completion.reasoning = Some(Reasoning::after(&completion.prompt_text));
            }
        }
        let prompts = completions.iter().step_by(params.n);
        Self {
            state,
            events,
            unfinished: completions.len(),
            echo: params.echo,
            logprobs: params.top_logprobs.is_some(),
            prompt_tokens: prompts.map(|completion| completion.prompt.len()).sum(),
            completion_tokens: 0,
            completions,
            deadline,
            id,
            created: unix_seconds(),
            memory: Some(memory),
        }
    }

    /// The number of completions.
    pub fn count(&self) -> usize {
        self.completions.len()
    }

    /// The next output of any completion; none once all have ended.
    pub async fn next(&mut self) -> Option<Result<Delta, ApiError>> {
        if self.unfinished == 0 {
            return None;
        }
        let deadline = self.deadline;
        let next = async {
            match self.events.recv().await {
                None => Err(ApiError::internal("the client read too slowly and was given up")),
                Some(event) => self.delta(event).await,
            }
        };
        Some(timeout_at(deadline, next).await.unwrap_or_else(|_| Err(ApiError::response_timeout())))
    }

    async fn delta(&mut self, Event { index, kind }: Event) -> Result<Delta, ApiError> {
        let mut delta = Delta::empty(index, self.logprobs);
        match kind {
            EventKind::Failed(message) => return Err(ApiError::internal(message)),
            EventKind::Prefilled(logprobs) => {
                if self.echo {
                    delta.text = self.completions[index].prompt_text.to_string();
                    if self.logprobs {
                        delta.logprobs = Some(self.prompt_logprobs(index, logprobs).await?);
                    }
                }
                let generates = self.completions[index].generates;
                delta.finish = (!generates).then_some(FinishReason::Length);
            }
            EventKind::Token(token, logprobs) => {
                self.completion_tokens += 1;
                if let Some(entries) = &mut delta.logprobs {
                    let vocabulary = &self.state.language.vocabulary;
                    let texts = &mut self.completions[index].texts;
                    let entry = texts.push(token.id, logprobs.as_ref(), vocabulary);
                    entries.push(entry.map_err(failed)?);
                }
                delta.text = token.text;
                delta.finish = token.finish;
                if let Some(reasoning) = &mut self.completions[index].reasoning {
                    let split = reasoning.push(&delta.text, delta.finish.is_some());
                    Separated { reasoning: delta.reasoning, content: delta.text } = split;
                }
            }
        }
        if delta.finish.is_some() {
            self.unfinished -= 1;
        }
        Ok(delta)
    }

    /// The tokens of a prompt with their logprobs, which begin with the second token.
    async fn prompt_logprobs(
        &mut self,
        index: usize,
        logprobs: Vec<TokenLogprobs>,
    ) -> Result<Vec<LogprobEntry>, ApiError> {
        let state = self.state.clone();
        let completion = &mut self.completions[index];
        let prompt = completion.prompt.clone();
        let mut texts = LogprobTexts::of_prompt(completion.prompt_text.clone());
        // A long prompt has many tokens: decode them off the threads that serve connections.
        let task = CancelOnDrop::new(move |cancelled| {
            let logprobs = std::iter::once(None).chain(logprobs.iter().map(Some));
            let tokens = prompt.iter().zip(logprobs).take_while(|_| !cancelled.get());
            let vocabulary = &state.language.vocabulary;
            let entries = tokens.map(|(id, logprobs)| texts.push(*id, logprobs, vocabulary));
            let entries = entries.collect::<Result<Vec<_>, _>>()?;
            texts.end_prompt(&prompt);
            Ok((texts, entries))
        });
        let (texts, entries) = task.await.map_err(task_failed)?.map_err(failed)?;
        completion.texts = texts;
        Ok(entries)
    }

    /// Waits for all completions, and returns them in one response.
    pub async fn collect<F: ResponseFormat>(mut self, format: F) -> Result<Response, ApiError> {
        let mut outputs: Vec<Delta> =
            (0..self.count()).map(|index| Delta::empty(index, self.logprobs)).collect();
        while let Some(delta) = self.next().await {
            let Delta { index, text, reasoning, logprobs, finish } = delta?;
            let output = &mut outputs[index];
            output.text.push_str(&text);
            output.reasoning.push_str(&reasoning);
            output.finish = finish;
            if let (Some(all), Some(logprobs)) = (&mut output.logprobs, logprobs) {
                all.extend(logprobs);
            }
        }
        let (memory, deadline) = (self.memory.take(), self.deadline);
        let is_long = self.logprobs;
        let serialise = move || {
            let choices = outputs.iter().map(|output| format.choice(output)).collect();
            let usage = Some(Some(self.usage()));
            serde_json::to_vec(&self.envelope::<F, _>(F::OBJECT, choices, usage))
        };
        let json = if is_long {
            let task = CancelOnDrop::new(move |_| serialise());
            match timeout_at(deadline, task).await {
                Err(_) => return Err(ApiError::response_timeout()),
                Ok(json) => json.map_err(task_failed)?,
            }
        } else {
            serialise()
        };
        Ok(chunked(json.map_err(|error| ApiError::internal(error.to_string()))?, memory))
    }

    /// Wraps choices in the JSON of a response or chunk.
    pub fn envelope<F: ResponseFormat, C>(
        &self,
        object: &'static str,
        choices: Vec<C>,
        usage: Option<Option<Usage>>,
    ) -> Envelope<'_, C> {
        Envelope {
            id: format!("{}-{:x}-{}", F::ID_PREFIX, self.state.started, self.id),
            object,
            created: self.created,
            model: &self.state.language.name,
            choices,
            usage,
        }
    }

    /// Token counts so far.
    pub fn usage(&self) -> Usage {
        Usage {
            prompt_tokens: self.prompt_tokens,
            completion_tokens: self.completion_tokens,
            total_tokens: self.prompt_tokens + self.completion_tokens,
        }
    }
}

fn failed(error: CorpusError) -> ApiError {
    ApiError::internal(error.to_string())
}

/// A task on the blocking pool panicked or was cancelled.
fn task_failed(error: tokio::task::JoinError) -> ApiError {
    ApiError::internal(format!("the response could not be made: {error}"))
}
