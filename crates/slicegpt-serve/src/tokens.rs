//! [`Namer`]: what tokens are called when it is told how likely they were, and where they stand.

use std::sync::Arc;

use serde::{Serialize, Serializer};
use slicegpt_corpus::{Result, Vocabulary};
use slicegpt_generate::{Score, TextWriter, tail};

/// Tokens that are kept: the next is decoded together with the last of them.
const KEPT: usize = 64;

/// Characters that may stand before a token of a prompt: a tokenizer may leave some out.
const SKIPPED: usize = 16;

/// Characters of a token that is looked for there.
const LONG: usize = 4;

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

/// A list of what is made of each of some values, one at a time.
pub struct Each<'a, V, T>(pub &'a [V], pub fn(&'a V) -> T);

impl<V, T: Serialize> Serialize for Each<'_, V, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(self.1))
    }
}

/// Names tokens, one after the other.
#[derive(Clone, Debug)]
pub struct Namer {
    /// The last tokens.
    before: Vec<u32>,
    writer: TextWriter,
    characters: usize,
    /// While the tokens of a prompt are named.
    prompt: Option<Echo>,
}

impl Namer {
    /// For tokens that follow `prompt`, which is not part of the text.
    pub fn after(prompt: &[u32]) -> Self {
        let before = prompt[prompt.len().saturating_sub(KEPT)..].to_vec();
        Self { before, writer: TextWriter::after(prompt), characters: 0, prompt: None }
    }

    /// For the tokens of a prompt, which were made of `text`.
    pub fn of(text: Arc<str>) -> Self {
        Self { prompt: Some(Echo { text, at: 0, characters: 0 }), ..Self::after(&[]) }
    }

    /// The next token.
    pub fn name(
        &mut self,
        id: u32,
        score: Option<&Score>,
        vocabulary: &Vocabulary,
    ) -> Result<Named> {
        let near = tail(&self.before, vocabulary)?;
        let known = vocabulary.decode(&near)?;
        let called = |id: u32| called(id, &near, &known, vocabulary);
        let text = called(id)?;
        let top = score.into_iter().flat_map(|score| &score.top);
        let top = top.map(|(id, x)| Ok((called(*id)?, *x))).collect::<Result<_>>()?;
        let more = self.writer.push(id, vocabulary)?;
        let offset = match &mut self.prompt {
            Some(prompt) => prompt.place(&more, vocabulary.special(id).as_deref()),
            None => self.characters,
        };
        self.characters += more.chars().count();
        if self.before.len() == KEPT {
            self.before.remove(0);
        }
        self.before.push(id);
        Ok(Named { text, log_probability: score.map(|score| score.log_probability), top, offset })
    }

    /// The tokens of the prompt, `ids`, have all been named.
    pub fn end_prompt(&mut self, ids: &[u32]) {
        if let Some(prompt) = self.prompt.take() {
            self.characters = prompt.text.chars().count();
            // As the text that follows is made.
            self.writer = TextWriter::after(ids);
        }
    }
}

/// The text that the tokens of a prompt were made of.
#[derive(Clone, Debug)]
struct Echo {
    text: Arc<str>,
    /// Bytes and characters of it before the next token.
    at: usize,
    characters: usize,
}

impl Echo {
    /// Characters before the next token, with which `more` text has become certain; or that is a special
    /// one with a name, which may be written out, or may be put there by the tokenizer.
    fn place(&mut self, more: &str, special: Option<&str>) -> usize {
        let rest = &self.text[self.at..];
        let found = match special {
            Some(name) => {
                let spaces = rest.len() - rest.trim_start().len();
                rest[spaces..].starts_with(name).then_some((spaces, name.len()))
            }
            None if more.is_empty() => None,
            None => Some(find(rest, more)),
        };
        let Some((skipped, length)) = found else { return self.characters };
        let offset = self.characters + rest[..skipped].chars().count();
        self.characters = offset + rest[skipped..skipped + length].chars().count();
        self.at += skipped + length;
        offset
    }
}

/// Bytes of `rest` before `more`, and of it.
fn find(rest: &str, more: &str) -> (usize, usize) {
    let bare = more.trim_start();
    if !rest.starts_with(more) && !bare.is_empty() && rest.starts_with(bare) {
        // A space is put before a text by some tokenizers.
        return (0, bare.len());
    }
    let spaces = rest.len() - rest.trim_start().len();
    // A short one would be found anywhere.
    let far = if more.trim().chars().count() < LONG { 0 } else { SKIPPED };
    let places = rest.char_indices().map(|(at, _)| at);
    let place = places
        .enumerate()
        .take_while(|(nth, at)| *nth <= far || *at <= spaces)
        .find(|(_, at)| rest[*at..].starts_with(more));
    match place {
        Some((_, at)) => (at, more.len()),
        // The tokenizer has changed it: so many characters, most likely.
        None => (0, rest.chars().take(more.chars().count()).map(char::len_utf8).sum()),
    }
}

/// What `id` is called behind the tokens `before`, whose text is `known`.
fn called(id: u32, before: &[u32], known: &str, vocabulary: &Vocabulary) -> Result<String> {
    if let Some(name) = vocabulary.special(id) {
        return Ok(name);
    }
    let all = vocabulary.decode(&[before, &[id]].concat())?;
    match all.strip_prefix(known) {
        Some(text) if !text.is_empty() => Ok(text.to_string()),
        // The bytes of a character that the tokens before it began.
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

    /// The texts and offsets of the tokens of `text`, which is a prompt; and the offset after it.
    fn named(ids: &[u32], text: &str, vocabulary: &Vocabulary) -> (Vec<(String, usize)>, usize) {
        let mut namer = Namer::of(text.into());
        let tokens = ids.iter().map(|id| {
            let named = namer.name(*id, None, vocabulary).unwrap();
            (named.text, named.offset)
        });
        let tokens = tokens.collect();
        namer.end_prompt(ids);
        let next = vocabulary.encode_inner("a").unwrap();
        (tokens, namer.name(next[0], None, vocabulary).unwrap().offset)
    }

    #[test]
    fn parts_of_characters_have_a_name_and_the_place_of_the_character() {
        for model in ["ts-phi3", "ts-llama3-gqa", "ts-opt"] {
            let vocabulary = vocabulary(model);
            let text = "said 😀😀😀 to";
            let ids = vocabulary.encode_inner(text).unwrap();
            let (tokens, end) = named(&ids, text, &vocabulary);
            assert_eq!(end, text.chars().count(), "{model}: {tokens:?}");
            let parts: Vec<_> =
                tokens.iter().filter(|(name, _)| name.contains('\u{FFFD}')).collect();
            assert!(parts.len() >= 9, "{model}: {tokens:?}");
            assert!(parts.iter().all(|(_, at)| (4..8).contains(at)), "{model}: {tokens:?}");
            for (name, offset) in &tokens {
                assert!(!name.is_empty(), "{model}: {tokens:?}");
                if !name.contains('\u{FFFD}') {
                    let there: String = text.chars().skip(*offset).collect();
                    assert!(
                        there.starts_with(name.trim_start()) || there.starts_with(name),
                        "{model}: {tokens:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn special_tokens_stand_where_they_are_written_out() {
        let vocabulary = vocabulary("ts-llama3-gqa");
        let (begin, end) = ("<|begin_of_text|>", "<|end_of_text|>");
        let text = format!("{begin}Once upon{end}{end} a dog{begin}!");
        let ids = vocabulary.encode_inner(&text).unwrap();
        let (tokens, after) = named(&ids, &text, &vocabulary);
        assert!(
            tokens.iter().filter(|(name, _)| name.starts_with("<|")).count() == 4,
            "{tokens:?}"
        );
        for (name, offset) in &tokens {
            let there: String = text.chars().skip(*offset).collect();
            assert!(there.starts_with(name), "{name} at {offset}: {tokens:?}");
        }
        assert_eq!(after, text.chars().count());
        // Put there by the tokenizer it has no place in the text.
        let ids = vocabulary.encode_prompt("Once upon").unwrap();
        let (tokens, after) = named(&ids, "Once upon", &vocabulary);
        assert_eq!((tokens[0].0.as_str(), tokens[0].1, tokens[1].1), (begin, 0, 0));
        assert_eq!(after, 9);
    }

    #[test]
    fn what_a_tokenizer_has_changed_is_found_again() {
        let vocabulary = vocabulary("ts-llama3-gqa");
        // As if the tokenizer had made small letters, and one space of several.
        let ids = vocabulary.encode_inner("once upon a dog and a cat").unwrap();
        let text = "ONCE upon   a dog and a cat";
        let (tokens, after) = named(&ids, text, &vocabulary);
        let (name, at) = tokens.last().unwrap();
        let there: String = text.chars().skip(*at).collect();
        assert_eq!((there.as_str(), after), (name.as_str(), text.chars().count()), "{tokens:?}");
    }
}
