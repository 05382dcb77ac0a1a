//! [`Sequence`]: a text on its way.

use slicegpt_corpus::Vocabulary;
use slicegpt_models::Cache;

use crate::{Sampler, Sampling, Stops, TextWriter};

/// When a text ends.
#[derive(Clone, Debug, Default)]
pub struct Ending {
    /// After so many tokens.
    pub most: usize,
    /// At one of these tokens, which is not part of the text.
    pub ends: Vec<u32>,
    /// At one of these strings, which is not part of the text.
    pub stops: Vec<String>,
}

/// Why a text ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// The model, or a stop string, ended it.
    Stop,
    /// As many tokens came as were asked for, or as the model can see.
    Length,
}

/// What a token brought.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    /// The token.
    pub id: u32,
    /// Text that has become certain with it.
    pub text: String,
    /// Set with the last token.
    pub finish: Option<Finish>,
}

/// A text on its way: tokens, the cache of what a model has seen of them, and how the next is chosen.
#[derive(Debug)]
pub struct Sequence {
    ids: Vec<u32>,
    prompt: usize,
    cache: Cache,
    sampler: Sampler,
    ending: Ending,
    context_length: usize,
    writer: TextWriter,
    stops: Stops,
}

impl Sequence {
    /// What follows `prompt`, of a model that sees `context_length` tokens. `cache` has seen a beginning
    /// of the prompt, or nothing.
    ///
    /// # Panics
    ///
    /// If the prompt is empty or fills the context, or the cache has seen all of it.
    pub fn new(
        prompt: Vec<u32>,
        cache: Cache,
        sampling: Sampling,
        ending: Ending,
        context_length: usize,
    ) -> Self {
        assert!(cache.seen() < prompt.len() && prompt.len() < context_length);
        Self {
            writer: TextWriter::after(&prompt),
            stops: Stops::new(ending.stops.iter().cloned()),
            prompt: prompt.len(),
            ids: prompt,
            cache,
            sampler: Sampler::new(sampling),
            ending,
            context_length,
        }
    }

    /// The tokens the model has not seen yet, and what it has seen: what a forward needs.
    pub fn next(&self) -> (&[u32], &Cache) {
        (&self.ids[self.cache.seen()..], &self.cache)
    }

    /// Chooses the next token by the logits that the model gave for the last one.
    ///
    /// # Errors
    ///
    /// If the tokenizer fails.
    pub fn accept(
        &mut self,
        logits: &[f32],
        vocabulary: &Vocabulary,
    ) -> slicegpt_corpus::Result<Piece> {
        let (prompt, generated) = self.ids.split_at(self.prompt);
        let id = self.sampler.choose(logits, prompt, generated);
        self.ids.push(id);
        if self.ending.ends.contains(&id) {
            let text = self.rest(vocabulary)?;
            return Ok(Piece { id, text, finish: Some(Finish::Stop) });
        }
        let more = self.writer.push(id, vocabulary)?;
        let (mut text, stopped) = self.stops.push(&more);
        let generated = self.ids.len() - self.prompt;
        let finish = match stopped {
            true => Some(Finish::Stop),
            false if generated >= self.ending.most || self.ids.len() >= self.context_length => {
                text.push_str(&self.rest(vocabulary)?);
                Some(Finish::Length)
            }
            false => None,
        };
        Ok(Piece { id, text, finish })
    }

    /// The text that was held back.
    fn rest(&mut self, vocabulary: &Vocabulary) -> slicegpt_corpus::Result<String> {
        let more = self.writer.finish(vocabulary)?;
        let (mut text, stopped) = self.stops.push(&more);
        if !stopped {
            text.push_str(&self.stops.finish());
        }
        Ok(text)
    }

    /// All tokens, those of the prompt first.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// The tokens that were generated.
    pub fn generated(&self) -> &[u32] {
        &self.ids[self.prompt..]
    }

    /// What the model has seen.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }
}
