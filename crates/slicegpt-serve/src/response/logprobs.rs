//! [`LogprobTexts`]: token strings and text offsets for `logprobs`.

use std::sync::Arc;

use serde::{Serialize, Serializer};
use slicegpt_corpus::{Result, Vocabulary};
use slicegpt_generate::{Detokenizer, TokenLogprobs, decoding_context};

/// Number of preceding tokens that are kept: the next token is decoded together with the last of
/// them.
const CONTEXT: usize = 64;

/// Maximum number of characters of a prompt that may be skipped to find the text of a token: a
/// tokenizer may drop some.
const MAX_SKIPPED: usize = 16;

/// Minimum length of a token's text, in characters, to be searched for beyond whitespace.
const MIN_SEARCHED: usize = 4;

/// A token with its text and its logprob.
#[derive(Clone, Debug, PartialEq)]
pub struct LogprobEntry {
    /// Its text; for a special token its name, which is not part of the completion.
    pub text: String,
    /// None for the first token of a prompt.
    pub logprob: Option<f32>,
    /// The most likely tokens with their logprobs.
    pub top: Vec<(String, f32)>,
    /// Number of characters of the text before it.
    pub offset: usize,
}

/// Serialises as a list: a function applied to each value, without building the list in memory.
pub struct Mapped<'a, V, T>(pub &'a [V], pub fn(&'a V) -> T);

impl<V, T: Serialize> Serialize for Mapped<'_, V, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(self.1))
    }
}

/// Finds the text and the offset of one token after the other.
#[derive(Clone, Debug)]
pub struct LogprobTexts {
    /// The last tokens.
    before: Vec<u32>,
    detokenizer: Detokenizer,
    /// Number of characters so far.
    characters: usize,
    /// Set while the tokens are those of an echoed prompt.
    prompt: Option<EchoedPrompt>,
}

impl LogprobTexts {
    /// Starts at the first token after `prompt`; the prompt is not part of the text.
    pub fn after(prompt: &[u32]) -> Self {
        let before = prompt[prompt.len().saturating_sub(CONTEXT)..].to_vec();
        let detokenizer = Detokenizer::after(prompt);
        Self { before, detokenizer, characters: 0, prompt: None }
    }

    /// Starts at the first token of an echoed prompt whose text is `text`.
    pub fn of_prompt(text: Arc<str>) -> Self {
        let prompt = EchoedPrompt { text, bytes: 0, characters: 0 };
        Self { prompt: Some(prompt), ..Self::after(&[]) }
    }

    /// The entry of the next token.
    pub fn push(
        &mut self,
        id: u32,
        logprobs: Option<&TokenLogprobs>,
        vocabulary: &Vocabulary,
    ) -> Result<LogprobEntry> {
        let context = decoding_context(&self.before, vocabulary)?;
        let context_text = vocabulary.decode(&context)?;
        let token_text = |id: u32| token_text(id, &context, &context_text, vocabulary);
        let text = token_text(id)?;
        let top = logprobs.into_iter().flat_map(|logprobs| &logprobs.top);
        let top = top.map(|(id, logprob)| Ok((token_text(*id)?, *logprob)));
        let top = top.collect::<Result<_>>()?;
        let new_text = self.detokenizer.push(id, vocabulary)?;
        let offset = match &mut self.prompt {
            Some(prompt) => prompt.advance(&new_text, vocabulary.special(id).as_deref()),
            None => self.characters,
        };
        self.characters += new_text.chars().count();
        if self.before.len() == CONTEXT {
            self.before.remove(0);
        }
        self.before.push(id);
        Ok(LogprobEntry { text, logprob: logprobs.map(|logprobs| logprobs.logprob), top, offset })
    }

    /// Ends the prompt, whose tokens are `ids`; generated tokens follow.
    pub fn end_prompt(&mut self, ids: &[u32]) {
        if let Some(prompt) = self.prompt.take() {
            self.characters = prompt.text.chars().count();
            // The same detokenizer state as that of the completion's text.
            self.detokenizer = Detokenizer::after(ids);
        }
    }
}

/// A position in the text of an echoed prompt.
#[derive(Clone, Debug)]
struct EchoedPrompt {
    text: Arc<str>,
    /// Bytes and characters of the text before the next token.
    bytes: usize,
    characters: usize,
}

impl EchoedPrompt {
    /// Number of characters before the next token. `new_text` is the text that became certain with
    /// the token; `special` is its name if it is a special token, which is either written out in
    /// the text or was added by the tokenizer.
    fn advance(&mut self, new_text: &str, special: Option<&str>) -> usize {
        let rest = &self.text[self.bytes..];
        let found = match special {
            Some(name) => {
                let spaces = rest.len() - rest.trim_start().len();
                rest[spaces..].starts_with(name).then_some((spaces, name.len()))
            }
            None if new_text.is_empty() => None,
            None => Some(find(rest, new_text)),
        };
        let Some((skipped, length)) = found else { return self.characters };
        let offset = self.characters + rest[..skipped].chars().count();
        self.characters = offset + rest[skipped..skipped + length].chars().count();
        self.bytes += skipped + length;
        offset
    }
}

/// Where `text` begins in `rest` and how long it is there, both in bytes.
fn find(rest: &str, text: &str) -> (usize, usize) {
    let trimmed = text.trim_start();
    if !rest.starts_with(text) && !trimmed.is_empty() && rest.starts_with(trimmed) {
        // Some tokenizers put a space before a text.
        return (0, trimmed.len());
    }
    let spaces = rest.len() - rest.trim_start().len();
    // A short text would be found anywhere.
    let limit = if text.trim().chars().count() < MIN_SEARCHED { 0 } else { MAX_SKIPPED };
    let starts = rest.char_indices().map(|(start, _)| start);
    let start = starts
        .enumerate()
        .take_while(|(nth, start)| *nth <= limit || *start <= spaces)
        .find(|(_, start)| rest[*start..].starts_with(text));
    match start {
        Some((_, start)) => (start, text.len()),
        // The tokenizer changed the text: assume that it kept the number of characters.
        None => (0, rest.chars().take(text.chars().count()).map(char::len_utf8).sum()),
    }
}

/// The text of token `id` after the tokens `context`, whose text is `context_text`.
fn token_text(
    id: u32,
    context: &[u32],
    context_text: &str,
    vocabulary: &Vocabulary,
) -> Result<String> {
    if let Some(name) = vocabulary.special(id) {
        return Ok(name);
    }
    let all = vocabulary.decode(&[context, &[id]].concat())?;
    match all.strip_prefix(context_text) {
        Some(text) if !text.is_empty() => Ok(text.to_string()),
        // A byte of a character that began in the tokens before.
        _ => vocabulary.decode(&[id]),
    }
}

#[cfg(test)]
mod tests {
    use slicegpt_testkit::fixtures;

    use super::*;

    fn vocabulary(model: &str) -> Vocabulary {
        Vocabulary::open(&fixtures().join("models").join(model)).unwrap()
    }

    /// The texts and offsets of the tokens of the prompt `text`; and the offset after it.
    fn entries(ids: &[u32], text: &str, vocabulary: &Vocabulary) -> (Vec<(String, usize)>, usize) {
        let mut texts = LogprobTexts::of_prompt(text.into());
        let tokens = ids.iter().map(|id| {
            let entry = texts.push(*id, None, vocabulary).unwrap();
            (entry.text, entry.offset)
        });
        let tokens = tokens.collect();
        texts.end_prompt(ids);
        let next = vocabulary.encode_inner("a").unwrap();
        (tokens, texts.push(next[0], None, vocabulary).unwrap().offset)
    }

    #[test]
    fn byte_tokens_have_a_text_and_the_offset_of_their_character() {
        for model in ["ts-phi3", "ts-llama3-gqa", "ts-opt"] {
            let vocabulary = vocabulary(model);
            let text = "said 😀😀😀 to";
            let ids = vocabulary.encode_inner(text).unwrap();
            let (tokens, end) = entries(&ids, text, &vocabulary);
            assert_eq!(end, text.chars().count(), "{model}: {tokens:?}");
            let bytes: Vec<_> =
                tokens.iter().filter(|(token, _)| token.contains('\u{FFFD}')).collect();
            assert!(bytes.len() >= 9, "{model}: {tokens:?}");
            assert!(bytes.iter().all(|(_, offset)| (4..8).contains(offset)), "{model}: {tokens:?}");
            for (token, offset) in &tokens {
                assert!(!token.is_empty(), "{model}: {tokens:?}");
                if !token.contains('\u{FFFD}') {
                    let rest: String = text.chars().skip(*offset).collect();
                    let found = rest.starts_with(token.trim_start()) || rest.starts_with(token);
                    assert!(found, "{model}: {tokens:?}");
                }
            }
        }
    }

    #[test]
    fn special_tokens_have_an_offset_where_they_are_written_out() {
        let vocabulary = vocabulary("ts-llama3-gqa");
        let (begin, end) = ("<|begin_of_text|>", "<|end_of_text|>");
        let text = format!("{begin}Once upon{end}{end} a dog{begin}!");
        let ids = vocabulary.encode_inner(&text).unwrap();
        let (tokens, after) = entries(&ids, &text, &vocabulary);
        let special = tokens.iter().filter(|(token, _)| token.starts_with("<|"));
        assert!(special.count() == 4, "{tokens:?}");
        for (token, offset) in &tokens {
            let rest: String = text.chars().skip(*offset).collect();
            assert!(rest.starts_with(token), "{token} at {offset}: {tokens:?}");
        }
        assert_eq!(after, text.chars().count());
        // A special token that the tokenizer added is not in the text.
        let ids = vocabulary.encode_prompt("Once upon").unwrap();
        let (tokens, after) = entries(&ids, "Once upon", &vocabulary);
        assert_eq!((tokens[0].0.as_str(), tokens[0].1, tokens[1].1), (begin, 0, 0));
        assert_eq!(after, 9);
    }

    #[test]
    fn offsets_recover_after_text_that_the_tokenizer_changed() {
        let vocabulary = vocabulary("ts-llama3-gqa");
        // As if the tokenizer had lowercased the text and merged its spaces.
        let ids = vocabulary.encode_inner("once upon a dog and a cat").unwrap();
        let text = "ONCE upon   a dog and a cat";
        let (tokens, after) = entries(&ids, text, &vocabulary);
        let (token, offset) = tokens.last().unwrap();
        let rest: String = text.chars().skip(*offset).collect();
        assert_eq!((rest.as_str(), after), (token.as_str(), text.chars().count()), "{tokens:?}");
    }
}
