//! [`Answer`]: the texts of a request as they come, and what an endpoint makes of them.

use std::sync::Arc;

use axum::response::Response;
use serde_json::{Value, json};
use slicegpt_corpus::CorpusError;
use slicegpt_generate::Finish;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, timeout_at};

use crate::app::App;
use crate::error::{ApiError, json_response};
use crate::job::{Event, What};
use crate::tokens::{Named, Namer};

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
    fn whole(&self, text: &Delta) -> Value;

    /// A choice of a part of a stream.
    fn part(&self, delta: &Delta) -> Value;
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
    pub prompt: Vec<u32>,
    pub prompt_text: String,
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
}

impl Answer {
    /// What comes next of any of the texts; nothing when all have ended.
    pub async fn next(&mut self) -> Option<Result<Delta, ApiError>> {
        if self.left == 0 {
            return None;
        }
        Some(match timeout_at(self.deadline, self.events.recv()).await {
            Err(_) => Err(ApiError::took_too_long()),
            Ok(None) => Err(ApiError::internal("the text was given up: its reader was too slow")),
            Ok(Some(event)) => self.delta(event),
        })
    }

    fn delta(&mut self, Event { index, what }: Event) -> Result<Delta, ApiError> {
        let failed = |error: CorpusError| ApiError::internal(error.to_string());
        let vocabulary = &self.app.language.vocabulary;
        let text = &mut self.texts[index];
        let mut delta = Delta { index, text: String::new(), tokens: None, finish: None };
        delta.tokens = self.told.then(Vec::new);
        match what {
            What::Failed(message) => return Err(ApiError::internal(message)),
            What::Read(scores) => {
                if self.echo {
                    delta.text = std::mem::take(&mut text.prompt_text);
                    if let Some(tokens) = &mut delta.tokens {
                        let scores = std::iter::once(None).chain(scores.iter().map(Some));
                        // A long prompt has many tokens to be named.
                        *tokens = tokio::task::block_in_place(|| {
                            let ids = text.prompt.iter().zip(scores);
                            ids.map(|(id, score)| text.namer.name(*id, score, vocabulary))
                                .collect::<Result<_, _>>()
                                .map_err(failed)
                        })?;
                    }
                }
                delta.finish = (!text.goes_on).then_some(Finish::Length);
            }
            What::Token(piece, score) => {
                self.completion_tokens += 1;
                if let Some(tokens) = &mut delta.tokens {
                    let named = text.namer.name(piece.id, score.as_ref(), vocabulary);
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

    /// Waits for all of it.
    pub async fn whole<S: Shape>(mut self, shape: &S) -> Result<Response, ApiError> {
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
        let choices = texts.iter().map(|text| shape.whole(text)).collect();
        let mut object = self.object::<S>(S::WHOLE, choices);
        object["usage"] = self.usage();
        Ok(json_response(&object))
    }

    /// What is around choices.
    pub fn object<S: Shape>(&self, object: &str, choices: Vec<Value>) -> Value {
        json!({
            "id": format!("{}-{:x}-{}", S::PREFIX, self.app.started, self.id),
            "object": object,
            "created": crate::app::now(),
            "model": self.app.language.name,
            "choices": choices,
        })
    }

    /// Tokens so far.
    pub fn usage(&self) -> Value {
        json!({
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
        })
    }
}
