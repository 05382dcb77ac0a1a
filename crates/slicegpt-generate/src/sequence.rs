//! [`Sequence`]: a prompt and the text generated after it.

use slicegpt_corpus::Vocabulary;
use slicegpt_models::Cache;

use crate::{Detokenizer, Sampler, Sampling, StopStrings};

/// When the generation of a sequence ends.
#[derive(Clone, Debug, Default)]
pub struct StopCriteria {
    /// After this many generated tokens.
    pub max_tokens: usize,
    /// At one of these end-of-sequence tokens, which is not part of the text.
    pub eos: Vec<u32>,
    /// At one of these strings, which is not part of the text.
    pub stop_strings: Vec<String>,
}

/// Why the generation of a sequence ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// An end-of-sequence token or a stop string.
    Stop,
    /// The maximum number of tokens, or the end of the context.
    Length,
}

impl FinishReason {
    /// The name in OpenAI's API: `stop` or `length`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
        }
    }
}

/// A generated token, and the text that it completes.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenOutput {
    /// The token.
    pub id: u32,
    /// The text that has become certain with it; often empty.
    pub text: String,
    /// Set with the last token.
    pub finish: Option<FinishReason>,
}

/// A sequence while it is generated: its tokens, their KV cache, and how the next token is chosen.
#[derive(Debug)]
pub struct Sequence {
    ids: Vec<u32>,
    prompt: usize,
    cache: Cache,
    sampler: Sampler,
    stop: StopCriteria,
    context_length: usize,
    detokenizer: Detokenizer,
    stop_strings: StopStrings,
}

impl Sequence {
    /// A sequence that continues `prompt`, of at most `context_length` tokens in total. `cache` is
    /// empty, or holds the beginning of the prompt.
    ///
    /// # Panics
    ///
    /// If the prompt is empty or fills the context, or if the cache holds all of it.
    pub fn new(
        prompt: Vec<u32>,
        cache: Cache,
        sampling: Sampling,
        stop: StopCriteria,
        context_length: usize,
    ) -> Self {
        assert!(cache.seen() < prompt.len() && prompt.len() < context_length);
        Self {
            detokenizer: Detokenizer::after(&prompt),
            stop_strings: StopStrings::new(stop.stop_strings.iter().cloned()),
            prompt: prompt.len(),
            ids: prompt,
            cache,
            sampler: Sampler::new(sampling),
            stop,
            context_length,
        }
    }

    /// The tokens that are not in the cache yet, and the cache: the input of the next forward pass.
    pub fn next(&self) -> (&[u32], &Cache) {
        (&self.ids[self.cache.seen()..], &self.cache)
    }

    /// Chooses the next token from the logits after the last one, `[vocab_size]`.
    ///
    /// # Errors
    ///
    /// If the tokenizer fails.
    pub fn accept(
        &mut self,
        logits: &[f32],
        vocabulary: &Vocabulary,
    ) -> slicegpt_corpus::Result<TokenOutput> {
        let (prompt, generated) = self.ids.split_at(self.prompt);
        let id = self.sampler.choose(logits, prompt, generated);
        self.ids.push(id);
        if self.stop.eos.contains(&id) {
            let text = self.rest(vocabulary)?;
            return Ok(TokenOutput { id, text, finish: Some(FinishReason::Stop) });
        }
        let new_text = self.detokenizer.push(id, vocabulary)?;
        let (mut text, stopped) = self.stop_strings.push(&new_text);
        let generated = self.ids.len() - self.prompt;
        let finish = if stopped {
            Some(FinishReason::Stop)
        } else if generated >= self.stop.max_tokens || self.ids.len() >= self.context_length {
            text.push_str(&self.rest(vocabulary)?);
            Some(FinishReason::Length)
        } else {
            None
        };
        Ok(TokenOutput { id, text, finish })
    }

    /// The text that was held back.
    fn rest(&mut self, vocabulary: &Vocabulary) -> slicegpt_corpus::Result<String> {
        let new_text = self.detokenizer.finish(vocabulary)?;
        let (mut text, stopped) = self.stop_strings.push(&new_text);
        if !stopped {
            text.push_str(&self.stop_strings.finish());
        }
        Ok(text)
    }

    /// Puts `cache` in the place of the KV cache, whose memory is freed. The tokens that it does
    /// not hold are part of the input of the next forward pass.
    ///
    /// # Panics
    ///
    /// If the cache holds all tokens.
    pub fn replace_cache(&mut self, cache: Cache) {
        assert!(cache.seen() < self.ids.len());
        self.cache = cache;
    }

    /// All tokens, prompt first.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// The generated tokens.
    pub fn generated(&self) -> &[u32] {
        &self.ids[self.prompt..]
    }

    /// The KV cache.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }
}
