//! [`Prompt`]: what a text is to follow, as it was asked; [`Reader`]: as tokens.

use std::sync::OnceLock;

use serde_json::Value;
use slicegpt_corpus::{CorpusError, Vocabulary};
use slicegpt_generate::Message;

use crate::error::ApiError;
use crate::fields::wrong_type;
use crate::language::Language;

/// What a text is to follow.
#[derive(Debug)]
pub enum Prompt {
    /// A text; whether the tokenizer's special tokens are put before it.
    Text(String, bool),
    /// Token ids.
    Ids(Vec<u32>),
    /// A conversation.
    Conversation(Vec<Message>),
}

/// A prompt as tokens.
#[derive(Debug)]
pub struct Tokenised {
    pub ids: Vec<u32>,
    /// The text of the tokens.
    pub text: String,
}

impl Prompt {
    /// One or several prompts: a string, strings, token ids, or arrays of these.
    pub fn parse(value: Value, special: bool) -> Result<Vec<Self>, ApiError> {
        let prompts = match value {
            Value::Array(values) if values.first().is_some_and(Value::is_number) => {
                vec![Self::ids(values)?]
            }
            Value::Array(values) => {
                let one = |value| match value {
                    Value::Array(ids) => Self::ids(ids),
                    value => Self::one(value, special),
                };
                values.into_iter().map(one).collect::<Result<_, _>>()?
            }
            value => vec![Self::one(value, special)?],
        };
        match prompts.is_empty() {
            true => Err(ApiError::invalid("prompt", "invalid_value", "'prompt' is empty")),
            false => Ok(prompts),
        }
    }

    fn one(value: Value, special: bool) -> Result<Self, ApiError> {
        match value {
            Value::String(text) => Ok(Self::Text(text, special)),
            other => Err(wrong_type("prompt", NEEDED, &other)),
        }
    }

    fn ids(values: Vec<Value>) -> Result<Self, ApiError> {
        let id = |value: Value| match value.as_u64().and_then(|id| u32::try_from(id).ok()) {
            Some(id) => Ok(id),
            None => Err(wrong_type("prompt", NEEDED, &value)),
        };
        Ok(Self::Ids(values.into_iter().map(id).collect::<Result<_, _>>()?))
    }
}

/// What makes tokens of prompts.
pub struct Reader {
    /// Bytes of a text that may fit into the context.
    most_bytes: usize,
    context: usize,
    /// What the tokenizer puts before a text, once it is known.
    start: OnceLock<Vec<u32>>,
}

impl Reader {
    /// For a model that sees `context` tokens.
    pub fn new(language: &Language, context: usize) -> Self {
        let vocabulary = &language.vocabulary;
        let length = |id: u32| match vocabulary.special(id) {
            Some(name) => name.len(),
            None => vocabulary.decode(&[id]).map_or(0, |text| text.len()),
        };
        let longest = (0..language.vocab_size as u32).map(length).max().unwrap_or(0);
        // A space before a word is not in the text of the word alone.
        let most_bytes = context.saturating_mul(longest + 1);
        Self { most_bytes, context, start: OnceLock::new() }
    }

    /// The tokens of a prompt, checked to be the model's. Takes a while where a text is long.
    pub fn tokenise(&self, prompt: Prompt, language: &Language) -> Result<Tokenised, ApiError> {
        let Language { vocabulary, vocab_size, .. } = language;
        let tokenised = match prompt {
            Prompt::Text(text, special) => {
                self.check(&text, "prompt")?;
                let ids = match special {
                    true => self.with_start(&text, vocabulary).map_err(failed)?,
                    false => vocabulary.encode_inner(&text).map_err(failed)?,
                };
                Tokenised { ids, text }
            }
            Prompt::Ids(ids) => {
                if ids.len() > self.context {
                    // Not to be decoded for nothing: it is refused for its length.
                    return Ok(Tokenised { ids, text: String::new() });
                }
                Tokenised { text: vocabulary.decode(&ids).map_err(failed)?, ids }
            }
            Prompt::Conversation(messages) => {
                let template = language.template.as_ref().map_err(|why| {
                    ApiError::invalid("messages", "no_chat_template", why.clone())
                })?;
                let text = template.prompt(&messages).map_err(|error| {
                    ApiError::invalid("messages", "invalid_value", error.to_string())
                })?;
                self.check(&text, "messages")?;
                // The template names special tokens itself.
                Tokenised { ids: vocabulary.encode_inner(&text).map_err(failed)?, text }
            }
        };
        if tokenised.ids.is_empty() {
            let message = "the prompt is empty, and this tokenizer puts no token before a text";
            return Err(ApiError::invalid("prompt", "invalid_value", message));
        }
        if let Some(id) = tokenised.ids.iter().find(|id| **id as usize >= *vocab_size) {
            let message = format!("token id {id} is not one of the {vocab_size} of this model");
            return Err(ApiError::invalid("prompt", "invalid_value", message));
        }
        Ok(tokenised)
    }

    /// A text that is too long even in the longest tokens is not read.
    fn check(&self, text: &str, param: &str) -> Result<(), ApiError> {
        if text.len() <= self.most_bytes {
            return Ok(());
        }
        let message = format!(
            "This model's maximum context length is {} tokens. However, your text has {} bytes, which are more \
             tokens. Please reduce its length.",
            self.context,
            text.len()
        );
        Err(ApiError::invalid(param, "context_length_exceeded", message))
    }

    /// The tokens of `text`, and before them those that the tokenizer puts there.
    fn with_start(&self, text: &str, vocabulary: &Vocabulary) -> Result<Vec<u32>, CorpusError> {
        let inner = vocabulary.encode_inner(text)?;
        let start = match self.start.get() {
            Some(start) => start,
            // It is always the same.
            None => {
                let mut all = vocabulary.encode_prompt(text)?;
                all.truncate(all.len().saturating_sub(inner.len()));
                match inner.is_empty() {
                    // Of an empty text it cannot be told from what is put behind.
                    true => return Ok(all),
                    false => self.start.get_or_init(|| all),
                }
            }
        };
        // Clients that decode token ids and send the text have written it out: it is not put there a second
        // time.
        match inner.starts_with(start) {
            true => Ok(inner),
            false => Ok([start, &inner[..]].concat()),
        }
    }
}

fn failed(error: CorpusError) -> ApiError {
    ApiError::invalid("prompt", "invalid_value", error.to_string())
}

const NEEDED: &str = "a string, an array of strings, an array of token ids, or an array of these";
