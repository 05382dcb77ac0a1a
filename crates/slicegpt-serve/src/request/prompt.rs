//! [`PromptInput`]: a prompt as a client sent it; [`PromptTokenizer`]: prompts to tokens.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use slicegpt_corpus::{CorpusError, Vocabulary};
use slicegpt_generate::Message;

use crate::error::ApiError;
use crate::language::Language;
use crate::request::fields::wrong_type;

/// A prompt as a client sent it.
#[derive(Debug)]
pub enum PromptInput {
    /// A text, and whether to put the tokenizer's special tokens before it.
    Text(String, bool),
    /// Token ids.
    Ids(Vec<u32>),
    /// The messages of a conversation, and variables for the chat template.
    Conversation(Vec<Message>, Map<String, Value>),
}

/// A prompt as tokens.
#[derive(Debug)]
pub struct TokenizedPrompt {
    pub ids: Vec<u32>,
    /// The text of the tokens.
    pub text: String,
}

impl PromptInput {
    /// One or several prompts: a string, an array of strings, token ids, or an array of such
    /// arrays.
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
        if prompts.is_empty() {
            return Err(ApiError::invalid("prompt", "invalid_value", "'prompt' is empty"));
        }
        Ok(prompts)
    }

    fn one(value: Value, special: bool) -> Result<Self, ApiError> {
        match value {
            Value::String(text) => Ok(Self::Text(text, special)),
            other => Err(wrong_type("prompt", EXPECTED, &other)),
        }
    }

    fn ids(values: Vec<Value>) -> Result<Self, ApiError> {
        let id = |value: Value| match value.as_u64().and_then(|id| u32::try_from(id).ok()) {
            Some(id) => Ok(id),
            None => Err(wrong_type("prompt", EXPECTED, &value)),
        };
        Ok(Self::Ids(values.into_iter().map(id).collect::<Result<_, _>>()?))
    }
}

/// How long a chat template may take.
const TEMPLATE_TIME: Duration = Duration::from_secs(4);

/// Tokenises prompts.
pub struct PromptTokenizer {
    /// Maximum length of a text that can fit into the context, in bytes.
    max_bytes: usize,
    context: usize,
    /// The special tokens that the tokenizer puts before a text, once they are known.
    prefix: OnceLock<Vec<u32>>,
}

impl PromptTokenizer {
    /// A tokenizer of prompts for sequences of at most `context` tokens.
    pub fn new(language: &Language, context: usize) -> Self {
        let vocabulary = &language.vocabulary;
        let length = |id: u32| match vocabulary.special(id) {
            Some(name) => name.len(),
            None => vocabulary.decode(&[id]).map_or(0, |text| text.len()),
        };
        let longest = (0..language.vocab_size as u32).map(length).max().unwrap_or(0);
        // One more byte, because a token decoded alone lacks the space before its word.
        let max_bytes = context.saturating_mul(longest + 1);
        Self { max_bytes, context, prefix: OnceLock::new() }
    }

    /// The tokens of a prompt, checked to be ids of the model. Slow for a long text. A chat
    /// template is stopped after its time, or when the request is `cancelled`.
    pub fn tokenise(
        &self,
        prompt: PromptInput,
        language: &Language,
        cancelled: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Result<TokenizedPrompt, ApiError> {
        let Language { vocabulary, vocab_size, .. } = language;
        let prompt = match prompt {
            PromptInput::Text(text, special) => {
                self.check_length(&text, "prompt")?;
                let ids = if special {
                    self.encode_with_prefix(&text, vocabulary).map_err(failed)?
                } else {
                    vocabulary.encode_inner(&text).map_err(failed)?
                };
                TokenizedPrompt { ids, text }
            }
            PromptInput::Ids(ids) => {
                if ids.len() > self.context {
                    // Not decoded, because the request is refused for its length.
                    return Ok(TokenizedPrompt { ids, text: String::new() });
                }
                TokenizedPrompt { text: vocabulary.decode(&ids).map_err(failed)?, ids }
            }
            PromptInput::Conversation(messages, variables) => {
                let template = language.template.as_ref().map_err(|why| {
                    ApiError::invalid("messages", "no_chat_template", why.clone())
                })?;
                let start = Instant::now();
                let stop = Arc::new(move || cancelled() || start.elapsed() > TEMPLATE_TIME);
                let text = template.prompt_until(&messages, &variables, Some(stop));
                let text = text.map_err(|error| {
                    ApiError::invalid("messages", "invalid_value", error.to_string())
                })?;
                self.check_length(&text, "messages")?;
                // The template writes the special tokens itself.
                TokenizedPrompt { ids: vocabulary.encode_inner(&text).map_err(failed)?, text }
            }
        };
        if prompt.ids.is_empty() {
            let message = "the prompt is empty, and this tokenizer puts no token before a text";
            return Err(ApiError::invalid("prompt", "invalid_value", message));
        }
        if let Some(id) = prompt.ids.iter().find(|id| **id as usize >= *vocab_size) {
            let message =
                format!("token id {id} is outside this model's vocabulary of {vocab_size}");
            return Err(ApiError::invalid("prompt", "invalid_value", message));
        }
        Ok(prompt)
    }

    /// Refuses a text that would be too long even if all of its tokens were the longest one, before
    /// any time is spent on tokenising it.
    fn check_length(&self, text: &str, param: &str) -> Result<(), ApiError> {
        if text.len() <= self.max_bytes {
            return Ok(());
        }
        let message = format!(
            "This model's maximum context length is {} tokens. However, your text has {} bytes, \
             which are more tokens. Please reduce its length.",
            self.context,
            text.len()
        );
        Err(ApiError::invalid(param, "context_length_exceeded", message))
    }

    /// The tokens of `text`, after the special tokens that the tokenizer puts before a text.
    fn encode_with_prefix(
        &self,
        text: &str,
        vocabulary: &Vocabulary,
    ) -> Result<Vec<u32>, CorpusError> {
        let inner = vocabulary.encode_inner(text)?;
        let prefix = match self.prefix.get() {
            Some(prefix) => prefix,
            // It is the same for every text.
            None => {
                let mut all = vocabulary.encode_prompt(text)?;
                all.truncate(all.len().saturating_sub(inner.len()));
                if inner.is_empty() {
                    // Without text between them, tokens before and after the text cannot be
                    // distinguished.
                    return Ok(all);
                }
                self.prefix.get_or_init(|| all)
            }
        };
        // A client that decodes token ids and sends the text has the prefix written out in it: do
        // not add it a second time.
        if inner.starts_with(prefix) { Ok(inner) } else { Ok([prefix, &inner[..]].concat()) }
    }
}

fn failed(error: CorpusError) -> ApiError {
    ApiError::invalid("prompt", "invalid_value", error.to_string())
}

const EXPECTED: &str = "a string, an array of strings, an array of token ids, or an array of these";
