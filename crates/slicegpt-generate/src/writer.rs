//! [`TextWriter`]: the text that tokens make, as they come.

use slicegpt_corpus::Vocabulary;

/// Tokens before the first that text is made of together with it, so that it is known whether a space
/// stands between them.
const BEFORE: usize = 6;

/// What stands for bytes that are no character yet.
const UNFINISHED: char = '\u{FFFD}';

/// The text of tokens as they come: a character of several tokens appears with the last of them.
#[derive(Clone, Debug)]
pub struct TextWriter {
    ids: Vec<u32>,
    /// Tokens whose text is known.
    written: usize,
    /// From here on tokens are decoded together with those that are new.
    start: usize,
}

impl TextWriter {
    /// For what follows `prompt`.
    pub fn after(prompt: &[u32]) -> Self {
        let ids = prompt[prompt.len().saturating_sub(BEFORE)..].to_vec();
        let written = ids.len();
        Self { ids, written, start: 0 }
    }

    /// The text that has become certain with token `id`; often none.
    ///
    /// # Errors
    ///
    /// If the tokenizer fails.
    pub fn push(&mut self, id: u32, vocabulary: &Vocabulary) -> slicegpt_corpus::Result<String> {
        self.ids.push(id);
        let (before, all) = self.texts(vocabulary)?;
        if all.len() <= before.len() || all.ends_with(UNFINISHED) {
            return Ok(String::new());
        }
        self.start = self.written;
        self.written = self.ids.len();
        Ok(rest(&all, &before))
    }

    /// What of the text is left when no more tokens come.
    ///
    /// # Errors
    ///
    /// If the tokenizer fails.
    pub fn finish(&mut self, vocabulary: &Vocabulary) -> slicegpt_corpus::Result<String> {
        let (before, all) = self.texts(vocabulary)?;
        self.written = self.ids.len();
        Ok(rest(&all, &before))
    }

    fn texts(&self, vocabulary: &Vocabulary) -> slicegpt_corpus::Result<(String, String)> {
        let before = vocabulary.decode(&self.ids[self.start..self.written])?;
        Ok((before, vocabulary.decode(&self.ids[self.start..])?))
    }
}

/// What `all` has behind `before`.
fn rest(all: &str, before: &str) -> String {
    match all.strip_prefix(before) {
        Some(rest) => rest.to_string(),
        // An unfinished character at the end of `before` has become one.
        None => all.chars().skip(before.trim_end_matches(UNFINISHED).chars().count()).collect(),
    }
}
