//! [`Namer`]: what tokens are called when it is told how likely they were.

use slicegpt_corpus::{Result, Vocabulary};
use slicegpt_generate::{Score, TextWriter};

/// Tokens before one that its text is made of together with it, so that a space before it is known.
const BEFORE: usize = 6;

/// A token with its text and how likely it was.
#[derive(Clone, Debug, PartialEq)]
pub struct Named {
    /// Its text; the name of a special token, which the text of an answer does not hold.
    pub text: String,
    /// None for the first token of all.
    pub log_probability: Option<f32>,
    /// The most likely tokens.
    pub top: Vec<(String, f32)>,
    /// Characters of the text before it.
    pub offset: usize,
}

/// Names tokens, one after the other.
#[derive(Clone, Debug)]
pub struct Namer {
    /// The last tokens.
    before: Vec<u32>,
    writer: TextWriter,
    characters: usize,
}

impl Namer {
    /// For tokens that follow `prompt`, which is not part of the text.
    pub fn after(prompt: &[u32]) -> Self {
        let before = prompt[prompt.len().saturating_sub(BEFORE)..].to_vec();
        Self { before, writer: TextWriter::after(prompt), characters: 0 }
    }

    /// The next token.
    pub fn name(
        &mut self,
        id: u32,
        score: Option<&Score>,
        vocabulary: &Vocabulary,
    ) -> Result<Named> {
        let text = self.text(id, vocabulary)?;
        let top = score.into_iter().flat_map(|score| &score.top);
        let top =
            top.map(|(id, x)| Ok((self.text(*id, vocabulary)?, *x))).collect::<Result<_>>()?;
        let offset = self.characters;
        self.characters += self.writer.push(id, vocabulary)?.chars().count();
        if self.before.len() == BEFORE {
            self.before.remove(0);
        }
        self.before.push(id);
        Ok(Named { text, log_probability: score.map(|score| score.log_probability), top, offset })
    }

    /// What `id` adds to the text of the tokens before it.
    fn text(&self, id: u32, vocabulary: &Vocabulary) -> Result<String> {
        if let Some(name) = vocabulary.special(id) {
            return Ok(name);
        }
        let before = vocabulary.decode(&self.before)?;
        let all = vocabulary.decode(&[&self.before[..], &[id]].concat())?;
        match all.strip_prefix(&before) {
            Some(text) => Ok(text.to_string()),
            // The bytes of a character that the tokens before it began.
            None => vocabulary.decode(&[id]),
        }
    }
}
