//! [`Reasoning`]: the thoughts at the beginning of an answer, apart from the answer.

/// What thoughts begin with.
const BEGIN: &str = "<think>";

/// What they end with.
const END: &str = "</think>";

/// Splits a text into thoughts between `<think>` and `</think>`, and the answer after them. White
/// space around the thoughts is dropped. A text that does not begin with `<think>` has no thoughts.
#[derive(Debug)]
pub struct Reasoning {
    part: Part,
    /// Text that may belong to a mark, or is white space that may be dropped.
    held: String,
}

/// Where the text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// At its beginning.
    Start,
    /// At the beginning of the thoughts.
    BeforeThoughts,
    Thoughts,
    /// Between the thoughts and the answer.
    BeforeAnswer,
    Answer,
}

/// A part of a text, split.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Split {
    pub reasoning: String,
    pub content: String,
}

impl Reasoning {
    /// For the text after `prompt`. The prompt of some templates begins the thoughts.
    pub fn after(prompt: &str) -> Self {
        let begun = prompt.trim_end().ends_with(BEGIN);
        let part = if begun { Part::BeforeThoughts } else { Part::Start };
        Self { part, held: String::new() }
    }

    /// Adds text, and returns what has become certain with it. `last` ends the text.
    pub fn push(&mut self, text: &str, last: bool) -> Split {
        self.held.push_str(text);
        let mut split = Split::default();
        while self.advance(&mut split, last) {}
        if last && !self.held.is_empty() {
            let held = std::mem::take(&mut self.held);
            match self.part {
                Part::Start | Part::Answer => split.content.push_str(&held),
                Part::BeforeThoughts | Part::Thoughts => split.reasoning.push_str(held.trim_end()),
                Part::BeforeAnswer => {}
            }
        }
        split
    }

    /// Takes what is certain from the held text; true if another part begins.
    fn advance(&mut self, split: &mut Split, last: bool) -> bool {
        match self.part {
            Part::Start => {
                let text = self.held.trim_start();
                if let Some(rest) = text.strip_prefix(BEGIN) {
                    self.held = rest.to_string();
                    self.part = Part::BeforeThoughts;
                    return true;
                }
                if BEGIN.starts_with(text) && !last {
                    return false;
                }
                self.part = Part::Answer;
                true
            }
            Part::BeforeThoughts | Part::BeforeAnswer => {
                self.held = self.held.trim_start().to_string();
                let begins = !self.held.is_empty();
                if begins {
                    self.part = match self.part {
                        Part::BeforeThoughts => Part::Thoughts,
                        _ => Part::Answer,
                    };
                }
                begins
            }
            Part::Thoughts => {
                if let Some((thoughts, rest)) = self.held.split_once(END) {
                    split.reasoning.push_str(thoughts.trim_end());
                    self.held = rest.to_string();
                    self.part = Part::BeforeAnswer;
                    return true;
                }
                let certain = self.held.len() - partial_mark(&self.held);
                let certain = self.held[..certain].trim_end().len();
                split.reasoning.extend(self.held.drain(..certain));
                false
            }
            Part::Answer => {
                split.content.push_str(&std::mem::take(&mut self.held));
                false
            }
        }
    }
}

/// The length of the longest end of `text` with which the mark after thoughts may begin.
fn partial_mark(text: &str) -> usize {
    (1..END.len()).rev().find(|length| text.ends_with(&END[..*length])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The split of `text`, pushed in parts of `size` bytes.
    fn split(prompt: &str, text: &str, size: usize) -> Split {
        let mut reasoning = Reasoning::after(prompt);
        let mut all = Split::default();
        let mut parts = text.as_bytes().chunks(size).peekable();
        if parts.peek().is_none() {
            return reasoning.push("", true);
        }
        while let Some(part) = parts.next() {
            let part = std::str::from_utf8(part).unwrap();
            let Split { reasoning, content } = reasoning.push(part, parts.peek().is_none());
            all.reasoning.push_str(&reasoning);
            all.content.push_str(&content);
        }
        all
    }

    #[test]
    fn thoughts_are_split_from_the_answer() {
        let begun = "<|assistant|><think>\n";
        for (prompt, text, reasoning, content) in [
            (
                "",
                "<think>\nwhy not?\n\n1 < 2\n</think>\n\n yes <b>\n",
                "why not?\n\n1 < 2",
                "yes <b>\n",
            ),
            (begun, "why </thin></think> yes", "why </thin>", "yes"),
            ("", " <think></think>yes", "", "yes"),
            // They never end.
            ("", "<think>why </thi", "why </thi", ""),
            (begun, "why \n", "why", ""),
            (begun, "", "", ""),
            // No thoughts.
            ("", " yes", "", " yes"),
            ("", " <thin", "", " <thin"),
            ("", "a <think>b</think>", "", "a <think>b</think>"),
            ("", "", "", ""),
            // What follows is not split again.
            ("", "<think>a</think>b<think>c</think>", "a", "b<think>c</think>"),
        ] {
            let want = Split { reasoning: reasoning.into(), content: content.into() };
            for size in [1, 2, 3, 5, 100] {
                assert_eq!(split(prompt, text, size), want, "{text:?} in parts of {size}");
            }
        }
    }

    #[test]
    fn what_is_certain_is_not_held_back() {
        let mut reasoning = Reasoning::after("");
        let pushed = ["<think>", "why", " not", " </", "b", " </think>", "\nyes", " no"]
            .map(|text| reasoning.push(text, false));
        let thoughts = pushed.each_ref().map(|split| &split.reasoning[..]);
        assert_eq!(thoughts, ["", "why", " not", "", " </b", "", "", ""]);
        let content = pushed.each_ref().map(|split| &split.content[..]);
        assert_eq!(content, ["", "", "", "", "", "", "yes", " no"]);
    }
}
