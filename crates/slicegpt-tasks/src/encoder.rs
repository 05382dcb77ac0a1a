//! [`Encoder`]: prompts to tokens, and the boundary between context and continuation.

use serde_json::Value;
use slicegpt_corpus::Vocabulary;

use crate::{Prompt, Result, TaskError, python};

/// Tokenises prompts as the harness does for a Hugging Face checkpoint.
pub struct Encoder {
    vocabulary: Vocabulary,
    /// What replaces an empty context: the beginning-of-sequence token, or else the end-of-sequence
    /// token, with its text.
    prefix: Option<(u32, String)>,
    /// Maximum sequence length of the model, in tokens.
    context_length: usize,
    vocab_size: usize,
}

/// The input of a forward pass, and the continuations that are scored with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedPrompt {
    /// The tokens that the model is given, at least one.
    pub input: Vec<u32>,
    /// For each continuation the index of its answer and its tokens. All of its tokens but the last
    /// are the end of `input`, so there are at most as many as there are input tokens.
    pub continuations: Vec<(usize, Vec<u32>)>,
    /// Number of tokens that were cut off at the beginning to fit into the context.
    pub truncated: usize,
}

impl Encoder {
    /// An encoder for a model of `context_length` tokens and `vocab_size` token ids.
    /// `tokenizer_config` is the parsed `tokenizer_config.json` that belongs to `vocabulary`, or
    /// null if there is none; it names the `bos_token` and the `eos_token`.
    pub fn new(
        vocabulary: Vocabulary,
        tokenizer_config: &Value,
        context_length: usize,
        vocab_size: usize,
    ) -> Self {
        let token = |name: &str| {
            let value = tokenizer_config.get(name)?;
            let text = value.as_str().or_else(|| value.get("content")?.as_str())?;
            Some((vocabulary.id_of(text)?, text.to_string()))
        };
        let prefix = token("bos_token").or_else(|| token("eos_token"));
        Self { vocabulary, prefix, context_length, vocab_size }
    }

    /// The tokens of a prompt. Answers with the same input share an [`EncodedPrompt`]. `place` is
    /// where the prompt comes from, for errors.
    ///
    /// # Errors
    ///
    /// If the tokenizer fails, or gives no tokens for a continuation, or more than fit into the
    /// context.
    pub fn encode(&self, prompt: &Prompt, place: &str) -> Result<Vec<EncodedPrompt>> {
        let mut encoded: Vec<EncodedPrompt> = Vec::new();
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
                    "the tokenizer gives token {id}, but the model has {} only: they do not belong \
                     together",
                    self.vocab_size
                )));
            }
            input.pop();
            let truncated = input.len().saturating_sub(self.context_length);
            input.drain(..truncated);
            match encoded.iter_mut().find(|other| other.input == input) {
                Some(same) => same.continuations.push((answer, continuation)),
                None => {
                    let continuations = vec![(answer, continuation)];
                    encoded.push(EncodedPrompt { input, continuations, truncated });
                }
            }
        }
        Ok(encoded)
    }

    /// The tokens of a context and of its continuation. They are tokenised together; spaces at the
    /// end of the context count as part of the continuation.
    fn pair(&self, context: &str, continuation: &str, place: &str) -> Result<(Vec<u32>, Vec<u32>)> {
        let stripped = python::rstrip(context);
        if stripped.is_empty() {
            let all = self.vocabulary.encode_inner(&format!("{context}{continuation}"))?;
            let (prefix, _) = self.prefix.as_ref().ok_or_else(|| TaskError::Tokens {
                place: place.into(),
                reason: "the context is empty, and this tokenizer names no token that begins or \
                         ends a text"
                    .into(),
            })?;
            return Ok(match all.split_first() {
                Some((first, rest)) if first == prefix => (vec![*first], rest.to_vec()),
                _ => (vec![*prefix], all),
            });
        }
        let mut whole = self.tokens(&format!("{context}{continuation}"))?;
        let context = self.tokens(stripped)?;
        let continuation = whole.split_off(context.len().min(whole.len()));
        Ok((context, continuation))
    }

    /// The tokens of a text, with the tokenizer's special tokens unless the text begins with one.
    fn tokens(&self, text: &str) -> Result<Vec<u32>> {
        let begun = self.prefix.as_ref().is_some_and(|(_, prefix)| text.starts_with(prefix));
        if begun {
            return Ok(self.vocabulary.encode_inner(text)?);
        }
        Ok(self.vocabulary.encode(text)?)
    }
}
