//! [`Encoder`]: prompts as tokens, and where a continuation begins in them.

use std::path::Path;

use serde_json::Value;
use slicegpt_corpus::Vocabulary;

use crate::{Prompt, Result, TaskError, python};

/// Text to tokens, as the harness does it for a Hugging Face checkpoint.
pub struct Encoder {
    vocabulary: Vocabulary,
    /// What stands for an empty context: the token that begins a text, or else the one that ends it.
    prefix: Option<(u32, String)>,
    /// Tokens the model sees.
    context_length: usize,
    vocab_size: usize,
}

/// Tokens that a model is given, and continuations that end with what comes after the last of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequence {
    /// What the model is given, at least one token.
    pub input: Vec<u32>,
    /// Continuations: their answer, and their tokens, at most as many as the input's. All of these but the
    /// last are the end of the input.
    pub continuations: Vec<(usize, Vec<u32>)>,
    /// Tokens that were left away at the beginning, because the model does not see so many.
    pub truncated: usize,
}

impl Encoder {
    /// With the tokenizer of checkpoint `directory`, for a model that sees `context_length` tokens and knows
    /// `vocab_size`.
    ///
    /// # Errors
    ///
    /// If the tokenizer is missing or damaged.
    pub fn open(directory: &Path, context_length: usize, vocab_size: usize) -> Result<Self> {
        let vocabulary = Vocabulary::open(directory)?;
        let path = directory.join("tokenizer_config.json");
        let config = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| TaskError::Json {
                place: path.display().to_string(),
                reason: error.to_string(),
            })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Value::Null,
            Err(source) => return Err(TaskError::Io { path, source }),
        };
        let token = |name: &str| {
            let value = config.get(name)?;
            let text = value.as_str().or_else(|| value.get("content")?.as_str())?;
            Some((vocabulary.id_of(text)?, text.to_string()))
        };
        let prefix = token("bos_token").or_else(|| token("eos_token"));
        Ok(Self { vocabulary, prefix, context_length, vocab_size })
    }

    /// The tokens of a prompt. Answers whose input is the same share a sequence. `place` is where the prompt
    /// comes from, for errors.
    ///
    /// # Errors
    ///
    /// If the tokenizer fails, or gives no tokens for a continuation, or more than the model sees.
    pub fn encode(&self, prompt: &Prompt, place: &str) -> Result<Vec<Sequence>> {
        let mut sequences: Vec<Sequence> = Vec::new();
        for (answer, (context, continuation)) in prompt.pairs().enumerate() {
            let (context, continuation) = self.pair(context, continuation, place)?;
            let wrong = |reason: String| TaskError::Tokens { place: place.into(), reason };
            if continuation.is_empty() || context.is_empty() {
                let what = if context.is_empty() { "context" } else { "continuation" };
                return Err(wrong(format!("the {what} of answer {answer} has no tokens")));
            }
            if continuation.len() > self.context_length {
                return Err(TaskError::TooLong {
                    place: place.into(),
                    answer,
                    tokens: continuation.len(),
                    seen: self.context_length,
                });
            }
            let mut input = [context, continuation.clone()].concat();
            if let Some(id) = input.iter().find(|id| **id as usize >= self.vocab_size) {
                return Err(wrong(format!(
                    "the tokenizer gives token {id}, but the model has {} only: they do not belong together",
                    self.vocab_size
                )));
            }
            input.pop();
            let truncated = input.len().saturating_sub(self.context_length);
            input.drain(..truncated);
            match sequences.iter_mut().find(|sequence| sequence.input == input) {
                Some(same) => same.continuations.push((answer, continuation)),
                None => {
                    let continuations = vec![(answer, continuation)];
                    sequences.push(Sequence { input, continuations, truncated });
                }
            }
        }
        Ok(sequences)
    }

    /// The tokens of a context and of what follows it. They are tokenised together; spaces at the end of
    /// the context belong to what follows.
    fn pair(&self, context: &str, continuation: &str, place: &str) -> Result<(Vec<u32>, Vec<u32>)> {
        let stripped = python::rstrip(context);
        if stripped.is_empty() {
            let all = self.vocabulary.encode_inner(&format!("{context}{continuation}"))?;
            let (prefix, _) = self.prefix.as_ref().ok_or_else(|| TaskError::Tokens {
                place: place.into(),
                reason: "the context is empty, and this tokenizer names no token that begins or ends a text"
                    .into(),
            })?;
            return Ok(match all.split_first() {
                Some((first, rest)) if first == prefix => (vec![*first], rest.to_vec()),
                _ => (vec![*prefix], all),
            });
        }
        let mut whole = self.tokens(&format!("{context}{continuation}"))?;
        let context = self.tokens(stripped)?;
        let behind = whole.split_off(context.len().min(whole.len()));
        Ok((context, behind))
    }

    /// The tokens of a text, with those the tokenizer puts before it unless they stand there.
    fn tokens(&self, text: &str) -> Result<Vec<u32>> {
        let begun = self.prefix.as_ref().is_some_and(|(_, prefix)| text.starts_with(prefix));
        Ok(match begun {
            true => self.vocabulary.encode_inner(text)?,
            false => self.vocabulary.encode(text)?,
        })
    }
}
