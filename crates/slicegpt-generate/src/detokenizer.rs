//! [`Detokenizer`]: tokens to text, one token at a time.

use slicegpt_corpus::{Result, Vocabulary};

use crate::decoding_context::{CONTINUATION, REPLACEMENT, WINDOW, decoding_context};

/// Maximum number of tokens that wait for the rest of a character. A longer run of bytes is no
/// character.
const MAX_PENDING: usize = 16;

/// Turns tokens into text as they arrive. A character of several tokens appears with the last one.
#[derive(Clone, Debug)]
pub struct Detokenizer {
    /// The last tokens of the prompt, until the first token arrives.
    prompt: Option<Vec<u32>>,
    /// The tokens that are decoded together: a few whose text was returned, and the pending ones.
    ids: Vec<u32>,
    /// How many of them have had their text returned.
    returned: usize,
}

impl Detokenizer {
    /// A detokenizer for the tokens that follow `prompt`.
    pub fn after(prompt: &[u32]) -> Self {
        let prompt = prompt[prompt.len().saturating_sub(WINDOW)..].to_vec();
        Self { prompt: Some(prompt), ids: Vec::new(), returned: 0 }
    }

    /// Adds token `id`, and returns the text that has become certain with it; often none.
    ///
    /// # Errors
    ///
    /// If the tokenizer fails.
    pub fn push(&mut self, id: u32, vocabulary: &Vocabulary) -> Result<String> {
        self.start(vocabulary)?;
        if vocabulary.special(id).is_some() {
            return Ok(String::new());
        }
        self.ids.push(id);
        let Pending { text, complete, joined } = self.pending(vocabulary)?;
        // Give up on bytes that never become a character: each token decodes all pending ones.
        if !complete && self.ids.len() - self.returned < MAX_PENDING {
            return Ok(String::new());
        }
        // Never split a character: the rest of its bytes would decode to other characters.
        if !joined || self.ids.len() >= 2 * MAX_PENDING {
            self.ids.drain(..self.returned);
        }
        self.returned = self.ids.len();
        Ok(text)
    }

    /// The rest of the text, when no more tokens will come.
    ///
    /// # Errors
    ///
    /// If the tokenizer fails.
    pub fn finish(&mut self, vocabulary: &Vocabulary) -> Result<String> {
        self.start(vocabulary)?;
        let pending = self.pending(vocabulary)?;
        self.returned = self.ids.len();
        Ok(pending.text)
    }

    /// Takes the context from the prompt, once.
    fn start(&mut self, vocabulary: &Vocabulary) -> Result<()> {
        if let Some(prompt) = self.prompt.take() {
            self.ids = decoding_context(&prompt, vocabulary)?;
            self.returned = self.ids.len();
        }
        Ok(())
    }

    /// The text of the pending tokens.
    fn pending(&self, vocabulary: &Vocabulary) -> Result<Pending> {
        let before = vocabulary.decode(&self.ids[..self.returned])?;
        let all = vocabulary.decode(&self.ids)?;
        let joined = before.ends_with(REPLACEMENT);
        let text = match all.strip_prefix(&before) {
            Some(text) => text.to_string(),
            // The incomplete character at the end of `before` is now complete.
            None => {
                let known = self.known(vocabulary)?;
                all.chars().skip(known.chars().count()).collect()
            }
        };
        let complete = !text.is_empty() && !all.ends_with(REPLACEMENT);
        Ok(Pending { text, complete, joined })
    }

    /// The text returned so far, without an incomplete character at its end.
    fn known(&self, vocabulary: &Vocabulary) -> Result<String> {
        for returned in (self.returned.saturating_sub(CONTINUATION)..=self.returned).rev() {
            let known = vocabulary.decode(&self.ids[..returned])?;
            if !known.ends_with(REPLACEMENT) {
                return Ok(known);
            }
        }
        let known = vocabulary.decode(&self.ids[..self.returned])?;
        Ok(known.trim_end_matches(REPLACEMENT).into())
    }
}

/// The text of the pending tokens.
struct Pending {
    text: String,
    /// Whether it ends with a complete character.
    complete: bool,
    /// Whether it may begin inside the last character before it.
    joined: bool,
}

#[cfg(test)]
mod tests {
    use slicegpt_testkit::fixtures;

    use super::*;

    fn vocabulary(model: &str) -> Vocabulary {
        Vocabulary::open(&fixtures().join("models").join(model)).unwrap()
    }

    /// The text of `ids` after `prompt`, token by token.
    fn run(prompt: &[u32], ids: &[u32], vocabulary: &Vocabulary) -> Vec<String> {
        let mut detokenizer = Detokenizer::after(prompt);
        let mut pieces: Vec<String> =
            ids.iter().map(|id| detokenizer.push(*id, vocabulary).unwrap()).collect();
        pieces.push(detokenizer.finish(vocabulary).unwrap());
        pieces
    }

    #[test]
    fn characters_are_never_split_wherever_the_prompt_ends() {
        for model in ["ts-phi3", "ts-llama3-gqa"] {
            let vocabulary = vocabulary(model);
            let text = "He said 😀😀😀 to 猫猫é her";
            let ids = vocabulary.encode_inner(text).unwrap();
            assert!(ids.len() > 20, "{model}: bytes are tokens");
            for prompt in 0..ids.len() {
                let (prompt, rest) = ids.split_at(prompt);
                let found = run(prompt, rest, &vocabulary).concat();
                // The tokens after the prompt complete the character in which it may end.
                let known = text.strip_suffix(&found);
                let known = known.unwrap_or_else(|| panic!("{model}: {found:?} after {prompt:?}"));
                let tokens = |text: &str| vocabulary.encode_inner(text).unwrap().len();
                let next = text[known.len()..].chars().next();
                let more = next.map_or(usize::MAX, |next| tokens(&format!("{known}{next}")));
                let all = (tokens(known)..more, prompt.len());
                assert!(all.0.contains(&all.1), "{model}: {found:?}: {all:?}: {ids:?}");
            }
        }
    }

    /// With tokenizers whose tokens are bytes, for tokens that need not be valid UTF-8.
    #[test]
    fn token_by_token_gives_the_same_text_as_decoding_at_once() {
        for model in ["ts-llama3-gqa", "ts-opt", "ts-phi"] {
            let vocabulary = vocabulary(model);
            let mut id = 1u64;
            let mut next = |bound: u64| {
                id = id
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                ((id >> 33) % bound) as u32
            };
            for _ in 0..300 {
                // The first ids are bytes, most of which form no character.
                let ids: Vec<u32> =
                    (0..12).map(|_| if next(3) == 0 { next(2048) } else { next(260) }).collect();
                for prompt in [0, 1, 4, 7] {
                    let (prompt, rest) = ids.split_at(prompt);
                    let all = vocabulary.decode(&ids).unwrap();
                    let known = vocabulary.decode(prompt).unwrap();
                    let text = known.trim_end_matches(REPLACEMENT);
                    let more = run(prompt, rest, &vocabulary).concat();
                    let joined = all.starts_with(&known) && all == format!("{known}{more}");
                    assert!(joined || all == format!("{text}{more}"), "{model}: {ids:?}: {more:?}");
                }
            }
        }
    }

    #[test]
    fn special_tokens_have_no_text_and_do_not_hide_a_space() {
        let vocabulary = vocabulary("ts-phi3");
        let end = vocabulary.id_of("</s>").unwrap();
        let ids = vocabulary.encode_inner("a dog").unwrap();
        let (prompt, word) = ids.split_at(ids.len() - 1);
        let prompt = [prompt, &[end; 20]].concat();
        let found = run(&prompt, &[&[end; 20], word].concat(), &vocabulary).concat();
        let all = vocabulary.decode(&ids).unwrap();
        assert_eq!(found, all.strip_prefix(&vocabulary.decode(&prompt).unwrap()).unwrap());
    }

    #[test]
    fn bytes_that_never_become_a_character_are_not_kept() {
        for model in ["ts-phi3", "ts-llama3-gqa"] {
            let vocabulary = vocabulary(model);
            let special = if model == "ts-phi3" { "</s>" } else { "<|end_of_text|>" };
            // The last byte of a character, alone.
            let byte = *vocabulary.encode_inner("😀").unwrap().last().unwrap();
            for id in [byte, vocabulary.id_of(special).unwrap(), 1_000_000] {
                let mut detokenizer = Detokenizer::after(&[]);
                let mut text = String::new();
                for _ in 0..1000 {
                    text.push_str(&detokenizer.push(id, &vocabulary).unwrap());
                    assert!(
                        detokenizer.ids.len() <= 2 * MAX_PENDING,
                        "{model}: {}",
                        detokenizer.ids.len()
                    );
                }
                text.push_str(&detokenizer.finish(&vocabulary).unwrap());
                let want = vocabulary.decode(&[id; 1000]).unwrap();
                assert_eq!(text, want, "{model}: {id}");
            }
        }
    }
}
