//! [`Prompt`]: what a text is to follow, as it was asked and as tokens.

use serde_json::Value;
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

    /// Its tokens, checked to be the model's. Takes a while where a text is long.
    pub fn tokenise(self, language: &Language) -> Result<Tokenised, ApiError> {
        let Language { vocabulary, vocab_size, .. } = language;
        let failed = |error: slicegpt_corpus::CorpusError| {
            ApiError::invalid("prompt", "invalid_value", error.to_string())
        };
        let tokenised = match self {
            Self::Text(text, special) => {
                let inner = vocabulary.encode_inner(&text).map_err(failed)?;
                let ids = match special {
                    true => vocabulary.encode_prompt(&text).map_err(failed)?,
                    false => Vec::new(),
                };
                // Clients that decode token ids and send the text have written out what the tokenizer puts
                // before a text: it is not put there a second time.
                let added = ids.len().saturating_sub(inner.len());
                let ids = if inner.starts_with(&ids[..added]) { inner } else { ids };
                Tokenised { ids, text }
            }
            Self::Ids(ids) => Tokenised { text: vocabulary.decode(&ids).map_err(failed)?, ids },
            Self::Conversation(messages) => {
                let template = language.template.as_ref().map_err(|why| {
                    ApiError::invalid("messages", "no_chat_template", why.clone())
                })?;
                let text = template.prompt(&messages).map_err(|error| {
                    ApiError::invalid("messages", "invalid_value", error.to_string())
                })?;
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
}

const NEEDED: &str = "a string, an array of strings, an array of token ids, or an array of these";
