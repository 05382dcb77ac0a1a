//! [`StopStrings`]: strings that end a text, wherever its tokens begin and end.

/// Finds stop strings in a text that arrives in pieces. The text ends before the stop string.
#[derive(Clone, Debug, Default)]
pub struct StopStrings {
    strings: Vec<String>,
    /// The end of the text, which may be the beginning of a stop string.
    held: String,
}

impl StopStrings {
    /// Ends the text before the first occurrence of any of `strings`. Empty strings are ignored.
    pub fn new(strings: impl IntoIterator<Item = String>) -> Self {
        let strings = strings.into_iter().filter(|string| !string.is_empty()).collect();
        Self { strings, held: String::new() }
    }

    /// Adds `more` to the text. Returns the text that is certain to come before any stop string,
    /// and whether a stop string was found.
    pub fn push(&mut self, more: &str) -> (String, bool) {
        self.held.push_str(more);
        let first = self.strings.iter().filter_map(|string| self.held.find(string)).min();
        if let Some(first) = first {
            self.held.truncate(first);
            return (std::mem::take(&mut self.held), true);
        }
        // The longest end of the text that is the beginning of a stop string.
        let begun = self
            .held
            .char_indices()
            .map(|(at, _)| at)
            .find(|at| self.strings.iter().any(|string| string.starts_with(&self.held[*at..])));
        let rest = self.held.split_off(begun.unwrap_or(self.held.len()));
        (std::mem::replace(&mut self.held, rest), false)
    }

    /// The text that was held back, when no more text will come.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text that is passed on, and whether a stop string ended it.
    fn run(strings: &[&str], pieces: &[&str]) -> (String, bool) {
        let mut stops = StopStrings::new(strings.iter().map(ToString::to_string));
        let mut text = String::new();
        for piece in pieces {
            let (more, ended) = stops.push(piece);
            text.push_str(&more);
            if ended {
                return (text, true);
            }
        }
        text.push_str(&stops.finish());
        (text, false)
    }

    #[test]
    fn a_text_ends_before_the_first_stop_string() {
        assert_eq!(run(&["end"], &["a e", "n", "d b"]), ("a ".into(), true));
        assert_eq!(run(&["end"], &["a e", "n", "x"]), ("a enx".into(), false));
        assert_eq!(run(&["end"], &["a en"]), ("a en".into(), false));
        assert_eq!(run(&["end", "a"], &["xa end"]), ("x".into(), true));
        assert_eq!(run(&["aab"], &["a", "a", "a", "b"]), ("a".into(), true));
        assert_eq!(run(&["\n\n", ""], &["é\n", "ü\n", "\n."]), ("é\nü".into(), true));
        assert_eq!(run(&[], &["a", "b"]), ("ab".into(), false));
    }
}
