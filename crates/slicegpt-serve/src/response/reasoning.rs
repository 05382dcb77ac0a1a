//! [`Reasoning`]: separates the reasoning at the beginning of a response from the answer.

/// The tag before reasoning.
const BEGIN: &str = "<think>";

/// The tag after it.
const END: &str = "</think>";

/// Splits a text into the reasoning between `<think>` and `</think>`, and the answer after it.
/// White space around the reasoning is dropped. A text that does not begin with `<think>` has none.
#[derive(Debug)]
pub struct Reasoning {
    part: Part,
    /// Text that may belong to a tag, or is white space that may be dropped.
    held: String,
}

/// The part of the text that comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Nothing but white space and a part of the tag so far.
    Start,
    /// White space between the tag and the reasoning.
    BeforeReasoning,
    Reasoning,
    /// White space between the reasoning and the answer.
    BeforeAnswer,
    Answer,
}

/// The two parts of a text.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Separated {
    pub reasoning: String,
    pub content: String,
}

impl Reasoning {
    /// For the text after `prompt`. The prompt of some templates ends with the first tag.
    pub fn after(prompt: &str) -> Self {
        let begun = prompt.trim_end().ends_with(BEGIN);
        let part = if begun { Part::BeforeReasoning } else { Part::Start };
        Self { part, held: String::new() }
    }

    /// Adds text, and returns what has become certain with it. `last` ends the text.
    pub fn push(&mut self, text: &str, last: bool) -> Separated {
        self.held.push_str(text);
        let mut separated = Separated::default();
        while self.advance(&mut separated, last) {}
        if last && !self.held.is_empty() {
            let held = std::mem::take(&mut self.held);
            match self.part {
                Part::Start | Part::Answer => separated.content.push_str(&held),
                Part::BeforeReasoning | Part::Reasoning => {
                    separated.reasoning.push_str(held.trim_end())
                }
                Part::BeforeAnswer => {}
            }
        }
        separated
    }

    /// Takes what is certain from the held text; true if another part begins.
    fn advance(&mut self, separated: &mut Separated, last: bool) -> bool {
        match self.part {
            Part::Start => {
                let text = self.held.trim_start();
                if let Some(rest) = text.strip_prefix(BEGIN) {
                    self.held = rest.to_string();
                    self.part = Part::BeforeReasoning;
                    return true;
                }
                if BEGIN.starts_with(text) && !last {
                    return false;
                }
                self.part = Part::Answer;
                true
            }
            Part::BeforeReasoning | Part::BeforeAnswer => {
                self.held = self.held.trim_start().to_string();
                let begins = !self.held.is_empty();
                if begins {
                    self.part = match self.part {
                        Part::BeforeReasoning => Part::Reasoning,
                        _ => Part::Answer,
                    };
                }
                begins
            }
            Part::Reasoning => {
                if let Some((reasoning, rest)) = self.held.split_once(END) {
                    separated.reasoning.push_str(reasoning.trim_end());
                    self.held = rest.to_string();
                    self.part = Part::BeforeAnswer;
                    return true;
                }
                let certain = self.held.len() - partial_tag(&self.held);
                let certain = self.held[..certain].trim_end().len();
                separated.reasoning.extend(self.held.drain(..certain));
                false
            }
            Part::Answer => {
                separated.content.push_str(&std::mem::take(&mut self.held));
                false
            }
        }
    }
}

/// The length of the longest end of `text` with which the tag after reasoning may begin.
fn partial_tag(text: &str) -> usize {
    (1..END.len()).rev().find(|length| text.ends_with(&END[..*length])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `text`, pushed in parts of `size` bytes and separated.
    fn separated(prompt: &str, text: &str, size: usize) -> Separated {
        let mut reasoning = Reasoning::after(prompt);
        let mut all = Separated::default();
        let mut parts = text.as_bytes().chunks(size).peekable();
        if parts.peek().is_none() {
            return reasoning.push("", true);
        }
        while let Some(part) = parts.next() {
            let part = std::str::from_utf8(part).unwrap();
            let Separated { reasoning, content } = reasoning.push(part, parts.peek().is_none());
            all.reasoning.push_str(&reasoning);
            all.content.push_str(&content);
        }
        all
    }

    #[test]
    fn reasoning_is_separated_from_the_answer() {
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
            // No reasoning.
            ("", " yes", "", " yes"),
            ("", " <thin", "", " <thin"),
            ("", "a <think>b</think>", "", "a <think>b</think>"),
            ("", "", "", ""),
            // What follows is not separated again.
            ("", "<think>a</think>b<think>c</think>", "a", "b<think>c</think>"),
        ] {
            let want = Separated { reasoning: reasoning.into(), content: content.into() };
            for size in [1, 2, 3, 5, 100] {
                assert_eq!(separated(prompt, text, size), want, "{text:?} in parts of {size}");
            }
        }
    }

    #[test]
    fn what_is_certain_is_not_held_back() {
        let mut reasoning = Reasoning::after("");
        let pushed = ["<think>", "why", " not", " </", "b", " </think>", "\nyes", " no"]
            .map(|text| reasoning.push(text, false));
        let reasoning = pushed.each_ref().map(|separated| &separated.reasoning[..]);
        assert_eq!(reasoning, ["", "why", " not", "", " </b", "", "", ""]);
        let content = pushed.each_ref().map(|separated| &separated.content[..]);
        assert_eq!(content, ["", "", "", "", "", "", "yes", " no"]);
    }
}
