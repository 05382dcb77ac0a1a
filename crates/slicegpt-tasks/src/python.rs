//! Python's string methods, where Rust's behave differently.

/// Whether Python considers a character whitespace: as Unicode does, and four separators.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// `str.strip()`.
pub fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// `str.rstrip()`.
pub fn rstrip(text: &str) -> &str {
    text.trim_end_matches(is_space)
}

/// `str.capitalize()`: the first character in title case, the others in lower case.
pub fn capitalize(text: &str) -> String {
    let Some(first) = text.chars().next() else { return String::new() };
    // The whole text at once: the lower case of a final sigma depends on the characters before it.
    let lower = text.to_lowercase();
    let length: usize = first.to_lowercase().map(char::len_utf8).sum();
    title(first) + &lower[length..]
}

/// A character in title case. Only the first letter of a ligature or digraph is a capital.
fn title(c: char) -> String {
    let digraphs = [('\u{1c4}', '\u{1c6}'), ('\u{1c7}', '\u{1c9}'), ('\u{1ca}', '\u{1cc}')];
    let digraphs = digraphs.into_iter().chain([('\u{1f1}', '\u{1f3}')]);
    for (upper, lower) in digraphs {
        if (upper..=lower).contains(&c) {
            let title = char::from_u32(upper as u32 + 1).expect("a letter between two letters");
            return title.into();
        }
    }
    let mut upper = c.to_uppercase();
    let first = upper.next().map(String::from).unwrap_or_default();
    // After a modifier apostrophe the letter stays a capital.
    let rest: String = upper.collect();
    if first == "\u{2bc}" { first + &rest } else { first + &rest.to_lowercase() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_equal_those_of_python() {
        assert_eq!(strip("\u{1f} \u{a0}a b\n\u{2003}"), "a b");
        assert_eq!(rstrip(" a\t\u{85}"), " a");
        for (text, want) in [
            ("", ""),
            ("then HE Goes", "Then he goes"),
            ("éTÉ", "Été"),
            ("ßa", "Ssa"),
            ("ﬁRE", "Fire"),
            ("ǆA", "ǅa"),
            ("ŉA", "ʼNa"),
            ("[step] Go", "[step] go"),
            ("ΑΣ", "Ας"),
        ] {
            assert_eq!(capitalize(text), want, "{text}");
        }
    }
}
