//! [`TextWriter`]: the text that tokens make, as they come.

use slicegpt_corpus::{Result, Vocabulary};

use crate::tail::{FAR, OTHERS, UNFINISHED, tail};

/// Tokens that may wait for the rest of a character. More of them are none.
const HELD: usize = 16;

/// The text of tokens as they come: a character of several tokens appears with the last of them.
#[derive(Clone, Debug)]
pub struct TextWriter {
    /// The end of what comes before, until the first token comes.
    prompt: Option<Vec<u32>>,
    /// Tokens that are decoded together with those that are new: a few whose text is known, and those
    /// that wait.
    ids: Vec<u32>,
    /// How many of them have text that is known.
    written: usize,
}

impl TextWriter {
    /// For what follows `prompt`.
    pub fn after(prompt: &[u32]) -> Self {
        let prompt = prompt[prompt.len().saturating_sub(FAR)..].to_vec();
        Self { prompt: Some(prompt), ids: Vec::new(), written: 0 }
    }

    /// The text that has become certain with token `id`; often none.
    ///
    /// # Errors
    ///
    /// If the tokenizer fails.
    pub fn push(&mut self, id: u32, vocabulary: &Vocabulary) -> Result<String> {
        self.begin(vocabulary)?;
        if vocabulary.special(id).is_some() {
            return Ok(String::new());
        }
        self.ids.push(id);
        let More { text, whole, joined } = self.more(vocabulary)?;
        // What never becomes a character is not waited for: each token decodes all that wait.
        if !whole && self.ids.len() - self.written < HELD {
            return Ok(String::new());
        }
        // A character stays whole: the bytes of a part of one make others of the rest.
        if !joined || self.ids.len() >= 2 * HELD {
            self.ids.drain(..self.written);
        }
        self.written = self.ids.len();
        Ok(text)
    }

    /// What of the text is left when no more tokens come.
    ///
    /// # Errors
    ///
    /// If the tokenizer fails.
    pub fn finish(&mut self, vocabulary: &Vocabulary) -> Result<String> {
        self.begin(vocabulary)?;
        let more = self.more(vocabulary)?;
        self.written = self.ids.len();
        Ok(more.text)
    }

    fn begin(&mut self, vocabulary: &Vocabulary) -> Result<()> {
        if let Some(prompt) = self.prompt.take() {
            self.ids = tail(&prompt, vocabulary)?;
            self.written = self.ids.len();
        }
        Ok(())
    }

    fn more(&self, vocabulary: &Vocabulary) -> Result<More> {
        let before = vocabulary.decode(&self.ids[..self.written])?;
        let all = vocabulary.decode(&self.ids)?;
        let joined = before.ends_with(UNFINISHED);
        let text = match all.strip_prefix(&before) {
            Some(more) => more.to_string(),
            // The character that `before` ends in has become one.
            None => {
                let known = self.known(vocabulary)?;
                all.chars().skip(known.chars().count()).collect()
            }
        };
        let whole = !text.is_empty() && !all.ends_with(UNFINISHED);
        Ok(More { text, whole, joined })
    }

    /// The text that is known, without the beginning of a character.
    fn known(&self, vocabulary: &Vocabulary) -> Result<String> {
        for written in (self.written.saturating_sub(OTHERS)..=self.written).rev() {
            let known = vocabulary.decode(&self.ids[..written])?;
            if !known.ends_with(UNFINISHED) {
                return Ok(known);
            }
        }
        let known = vocabulary.decode(&self.ids[..self.written])?;
        Ok(known.trim_end_matches(UNFINISHED).into())
    }
}

/// The tokens that wait.
struct More {
    text: String,
    /// It is whole characters.
    whole: bool,
    /// It may begin in the last character before.
    joined: bool,
}

#[cfg(test)]
mod tests {
    use slicegpt_testkit::fixtures;

    use super::*;

    fn vocabulary(model: &str) -> Vocabulary {
        Vocabulary::open(&fixtures().join("models").join(model)).unwrap()
    }

    /// The text of `ids` behind `prompt`, token by token.
    fn run(prompt: &[u32], ids: &[u32], vocabulary: &Vocabulary) -> Vec<String> {
        let mut writer = TextWriter::after(prompt);
        let mut pieces: Vec<String> =
            ids.iter().map(|id| writer.push(*id, vocabulary).unwrap()).collect();
        pieces.push(writer.finish(vocabulary).unwrap());
        pieces
    }

    #[test]
    fn characters_come_whole_wherever_a_prompt_ends() {
        for model in ["ts-phi3", "ts-llama3-gqa"] {
            let vocabulary = vocabulary(model);
            let text = "He said 😀😀😀 to 猫猫é her";
            let ids = vocabulary.encode_inner(text).unwrap();
            assert!(ids.len() > 20, "{model}: bytes are tokens");
            for prompt in 0..ids.len() {
                let (prompt, rest) = ids.split_at(prompt);
                let found = run(prompt, rest, &vocabulary).concat();
                // The tokens behind the prompt complete the character in which it may end.
                let known = text.strip_suffix(&found);
                let known = known.unwrap_or_else(|| panic!("{model}: {found:?} behind {prompt:?}"));
                let tokens = |text: &str| vocabulary.encode_inner(text).unwrap().len();
                let next = text[known.len()..].chars().next();
                let more = next.map_or(usize::MAX, |next| tokens(&format!("{known}{next}")));
                let all = (tokens(known)..more, prompt.len());
                assert!(all.0.contains(&all.1), "{model}: {found:?}: {all:?}: {ids:?}");
            }
        }
    }

    /// Of a tokenizer whose tokens are bytes, whatever they are.
    #[test]
    fn any_tokens_have_the_text_that_they_have_at_once() {
        for model in ["ts-llama3-gqa", "ts-opt", "ts-phi"] {
            let vocabulary = vocabulary(model);
            let mut id = 1u64;
            let mut next = |most: u64| {
                id = id
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                ((id >> 33) % most) as u32
            };
            for _ in 0..300 {
                // The first ids are bytes, most of them of no character.
                let ids: Vec<u32> =
                    (0..12).map(|_| if next(3) == 0 { next(2048) } else { next(260) }).collect();
                for prompt in [0, 1, 4, 7] {
                    let (prompt, rest) = ids.split_at(prompt);
                    let all = vocabulary.decode(&ids).unwrap();
                    let known = vocabulary.decode(prompt).unwrap();
                    let text = known.trim_end_matches(UNFINISHED);
                    let more = run(prompt, rest, &vocabulary).concat();
                    let joined = all.starts_with(&known) && all == format!("{known}{more}");
                    assert!(joined || all == format!("{text}{more}"), "{model}: {ids:?}: {more:?}");
                }
            }
        }
    }

    #[test]
    fn special_tokens_have_no_text_and_hide_no_space() {
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
    fn what_is_never_a_character_is_not_kept() {
        for model in ["ts-phi3", "ts-llama3-gqa"] {
            let vocabulary = vocabulary(model);
            let special = if model == "ts-phi3" { "</s>" } else { "<|end_of_text|>" };
            // The last byte of a character, alone.
            let byte = *vocabulary.encode_inner("😀").unwrap().last().unwrap();
            for id in [byte, vocabulary.id_of(special).unwrap(), 1_000_000] {
                let mut writer = TextWriter::after(&[]);
                let mut text = String::new();
                for _ in 0..1000 {
                    text.push_str(&writer.push(id, &vocabulary).unwrap());
                    assert!(writer.ids.len() <= 2 * HELD, "{model}: {}", writer.ids.len());
                }
                text.push_str(&writer.finish(&vocabulary).unwrap());
                let want = vocabulary.decode(&[id; 1000]).unwrap();
                assert_eq!(text, want, "{model}: {id}");
            }
        }
    }
}
