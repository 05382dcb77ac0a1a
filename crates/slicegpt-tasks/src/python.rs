//! What Python's strings do, where Rust's do something else.

/// Whether Python takes a character for whitespace: what Unicode does, and four separators.
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

/// `str.capitalize()`: the first character as in a title, the others small.
pub fn capitalize(text: &str) -> String {
    let Some(first) = text.chars().next() else { return String::new() };
    // As a whole: how a sigma at the end is written hangs on what stands before it.
    let small = text.to_lowercase();
    let length: usize = first.to_lowercase().map(char::len_utf8).sum();
    title(first) + &small[length..]
}

/// A character as in a title. Of a ligature, or a letter made of two, the first part is large only.
fn title(c: char) -> String {
    let two_letters = [('\u{1c4}', '\u{1c6}'), ('\u{1c7}', '\u{1c9}'), ('\u{1ca}', '\u{1cc}')];
    let two_letters = two_letters.into_iter().chain([('\u{1f1}', '\u{1f3}')]);
    for (large, small) in two_letters {
        if (large..=small).contains(&c) {
            let middle = char::from_u32(large as u32 + 1).expect("it stands between two letters");
            return middle.into();
        }
    }
    let mut upper = c.to_uppercase();
    let first = upper.next().map(String::from).unwrap_or_default();
    // A modifier keeps the letter behind it large.
    let rest: String = upper.collect();
    match first.as_str() {
        "\u{2bc}" => first + &rest,
        _ => first + &rest.to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_those_of_python() {
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
