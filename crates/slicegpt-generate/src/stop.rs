//! [`Stops`]: strings at which a text ends, wherever tokens begin and end.

/// Strings that end a text. They are not part of it.
#[derive(Clone, Debug, Default)]
pub struct Stops {
    strings: Vec<String>,
    /// What may be the beginning of one of them.
    held: String,
}

impl Stops {
    /// Ends at the first of `strings`. Empty ones end nothing.
    pub fn new(strings: impl IntoIterator<Item = String>) -> Self {
        let strings = strings.into_iter().filter(|string| !string.is_empty()).collect();
        Self { strings, held: String::new() }
    }

    /// What of the text is certain to stand before any of the strings, after `more` has come; and
    /// whether one of them has come.
    pub fn push(&mut self, more: &str) -> (String, bool) {
        self.held.push_str(more);
        let first = self.strings.iter().filter_map(|string| self.held.find(string)).min();
        if let Some(first) = first {
            self.held.truncate(first);
            return (std::mem::take(&mut self.held), true);
        }
        // The longest end of the text that one of the strings begins with.
        let begun = self
            .held
            .char_indices()
            .map(|(at, _)| at)
            .find(|at| self.strings.iter().any(|string| string.starts_with(&self.held[*at..])));
        let rest = self.held.split_off(begun.unwrap_or(self.held.len()));
        (std::mem::replace(&mut self.held, rest), false)
    }

    /// What was held back, when nothing more will come.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text that passes, and whether it was ended.
    fn run(strings: &[&str], pieces: &[&str]) -> (String, bool) {
        let mut stops = Stops::new(strings.iter().map(ToString::to_string));
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
    fn a_text_ends_before_the_first_of_the_strings() {
        assert_eq!(run(&["end"], &["a e", "n", "d b"]), ("a ".into(), true));
        assert_eq!(run(&["end"], &["a e", "n", "x"]), ("a enx".into(), false));
        assert_eq!(run(&["end"], &["a en"]), ("a en".into(), false));
        assert_eq!(run(&["end", "a"], &["xa end"]), ("x".into(), true));
        assert_eq!(run(&["aab"], &["a", "a", "a", "b"]), ("a".into(), true));
        assert_eq!(run(&["\n\n", ""], &["é\n", "ü\n", "\n."]), ("é\nü".into(), true));
        assert_eq!(run(&[], &["a", "b"]), ("ab".into(), false));
    }
}
