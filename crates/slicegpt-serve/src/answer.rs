//! [`Answer`]: the texts of a request as they come, and what an endpoint makes of them.

use std::sync::Arc;

use axum::response::Response;
use serde::Serialize;
use serde_json::Value;
use slicegpt_corpus::CorpusError;
use slicegpt_generate::{Finish, Score};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, timeout_at};

use crate::app::App;
use crate::error::ApiError;
use crate::job::{Event, What};
use crate::sliced::sliced;
use crate::tokens::{Named, Namer};
use crate::wanted::Wanted;

/// Something new of a text; or all of it, which is the sum of these.
#[derive(Debug)]
pub struct Delta {
    /// Which text.
    pub index: usize,
    pub text: String,
    /// If it was asked how likely tokens were.
    pub tokens: Option<Vec<Named>>,
    /// Set with the last.
    pub finish: Option<Finish>,
}

/// What the answers of an endpoint look like.
pub trait Shape: Send + Sync + 'static {
    /// What ids begin with.
    const PREFIX: &'static str;
    /// The `object` of an answer.
    const WHOLE: &'static str;
    /// The `object` of a part of a stream.
    const PART: &'static str;

    /// The first choice of a stream of text `index`, if it has one before any text.
    fn opening(&self, index: usize) -> Option<Value>;

    /// A choice of an answer.
    fn whole(&self, text: &Delta) -> impl Serialize;

    /// A choice of a part of a stream.
    fn part(&self, delta: &Delta) -> impl Serialize;
}

/// Why a text ended, in OpenAI's words.
pub fn finish_reason(delta: &Delta) -> Option<&'static str> {
    delta.finish.map(|finish| match finish {
        Finish::Stop => "stop",
        Finish::Length => "length",
    })
}

/// A text on its way.
pub struct Text {
    /// The tokens and the text of the prompt.
    pub prompt: Arc<[u32]>,
    pub prompt_text: Arc<str>,
    /// Whether anything follows the prompt.
    pub goes_on: bool,
    pub namer: Namer,
}

/// The texts of a request on their way.
pub struct Answer {
    pub app: Arc<App>,
    pub events: Receiver<Event>,
    pub texts: Vec<Text>,
    /// How many of them have not ended.
    pub left: usize,
    pub echo: bool,
    /// Whether it was asked how likely tokens were.
    pub told: bool,
    /// Each prompt once, however many texts follow it.
    pub prompt_tokens: usize,
    pub completion_tokens: usize,
    pub deadline: Instant,
    pub id: u64,
    /// When it was begun, in seconds since 1970.
    pub created: u64,
    /// Its share of the memory of all answers, given back when its last byte is out.
    pub share: Option<OwnedSemaphorePermit>,
}

/// What is around choices.
#[derive(Serialize)]
pub struct Object<'a, C> {
    id: String,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: Vec<C>,
    /// Absent, null, or tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Option<Usage>>,
}

/// Tokens of a request.
#[derive(Serialize)]
pub struct Usage {
    prompt_tokens: usize,
    completion_tokens: usize,
    total_tokens: usize,
}

impl Answer {
    /// What comes next of any of the texts; nothing when all have ended.
    pub async fn next(&mut self) -> Option<Result<Delta, ApiError>> {
        if self.left == 0 {
            return None;
        }
        let deadline = self.deadline;
        let next = async {
            match self.events.recv().await {
                None => Err(ApiError::internal("the text was given up: its reader was too slow")),
                Some(event) => self.delta(event).await,
            }
        };
        Some(timeout_at(deadline, next).await.unwrap_or_else(|_| Err(ApiError::took_too_long())))
    }

    async fn delta(&mut self, Event { index, what }: Event) -> Result<Delta, ApiError> {
        let mut delta = Delta { index, text: String::new(), tokens: None, finish: None };
        delta.tokens = self.told.then(Vec::new);
        match what {
            What::Failed(message) => return Err(ApiError::internal(message)),
            What::Read(scores) => {
                if self.echo {
                    delta.text = self.texts[index].prompt_text.to_string();
                    if self.told {
                        delta.tokens = Some(self.name_prompt(index, scores).await?);
                    }
                }
                delta.finish = (!self.texts[index].goes_on).then_some(Finish::Length);
            }
            What::Token(piece, score) => {
                self.completion_tokens += 1;
                if let Some(tokens) = &mut delta.tokens {
                    let vocabulary = &self.app.language.vocabulary;
                    let named = self.texts[index].namer.name(piece.id, score.as_ref(), vocabulary);
                    tokens.push(named.map_err(failed)?);
                }
                delta.text = piece.text;
                delta.finish = piece.finish;
            }
        }
        if delta.finish.is_some() {
            self.left -= 1;
        }
        Ok(delta)
    }

    /// The tokens of a prompt with how likely they were, from the second one on.
    async fn name_prompt(
        &mut self,
        index: usize,
        scores: Vec<Score>,
    ) -> Result<Vec<Named>, ApiError> {
        let app = self.app.clone();
        let text = &mut self.texts[index];
        let prompt = text.prompt.clone();
        let mut namer = Namer::of(text.prompt_text.clone());
        // A long prompt has many tokens to be named: not where others wait.
        let work = Wanted::new(move |gone| {
            let scores = std::iter::once(None).chain(scores.iter().map(Some));
            let tokens = prompt.iter().zip(scores).take_while(|_| !gone());
            let vocabulary = &app.language.vocabulary;
            let tokens = tokens.map(|(id, score)| namer.name(*id, score, vocabulary));
            let tokens = tokens.collect::<Result<Vec<_>, _>>()?;
            namer.end_prompt(&prompt);
            Ok((namer, tokens))
        });
        let (namer, tokens) = work.await.map_err(lost)?.map_err(failed)?;
        text.namer = namer;
        Ok(tokens)
    }

    /// Waits for all of it.
    pub async fn whole<S: Shape>(mut self, shape: S) -> Result<Response, ApiError> {
        let mut texts: Vec<Delta> = (0..self.texts.len())
            .map(|index| Delta {
                index,
                text: String::new(),
                tokens: self.told.then(Vec::new),
                finish: None,
            })
            .collect();
        while let Some(delta) = self.next().await {
            let Delta { index, text, tokens, finish } = delta?;
            let all = &mut texts[index];
            all.text.push_str(&text);
            all.finish = finish;
            if let (Some(all), Some(tokens)) = (&mut all.tokens, tokens) {
                all.extend(tokens);
            }
        }
        let (share, deadline) = (self.share.take(), self.deadline);
        let long = self.told;
        let write = move || {
            let choices = texts.iter().map(|text| shape.whole(text)).collect();
            let usage = Some(Some(self.usage()));
            serde_json::to_vec(&self.object::<S, _>(S::WHOLE, choices, usage))
        };
        let json = match long {
            false => write(),
            true => match timeout_at(deadline, Wanted::new(move |_| write())).await {
                Err(_) => return Err(ApiError::took_too_long()),
                Ok(json) => json.map_err(lost)?,
            },
        };
        Ok(sliced(json.map_err(|error| ApiError::internal(error.to_string()))?, share))
    }

    /// What is around choices.
    pub fn object<S: Shape, C>(
        &self,
        object: &'static str,
        choices: Vec<C>,
        usage: Option<Option<Usage>>,
    ) -> Object<'_, C> {
        Object {
            id: format!("{}-{:x}-{}", S::PREFIX, self.app.started, self.id),
            object,
            created: self.created,
            model: &self.app.language.name,
            choices,
            usage,
        }
    }

    /// Tokens so far.
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

/// Work elsewhere did not come to its end.
fn lost(error: tokio::task::JoinError) -> ApiError {
    ApiError::internal(format!("the answer was not made: {error}"))
}
