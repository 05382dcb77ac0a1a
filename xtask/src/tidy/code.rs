//! Rust source without comments and tests.
//!
//! Comments and items under `#[cfg(test)]` become spaces, so that all offsets and lines stay the
//! same.

/// Two versions of a file, both as long as the original.
pub struct Code {
    /// Without comments and tests.
    pub with_strings: String,
    /// Without comments, tests and the contents of literals.
    pub bare: String,
}

impl Code {
    pub fn parse(text: &str) -> Self {
        let (mut with_strings, mut bare) = without_comments(text.as_bytes());
        for range in test_items(&bare) {
            blank(&mut with_strings[range.clone()]);
            blank(&mut bare[range]);
        }
        Self { with_strings: into_text(with_strings), bare: into_text(bare) }
    }
}

fn without_comments(text: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (mut with_strings, mut bare) = (text.to_vec(), text.to_vec());
    let mut at = 0;
    while at < text.len() {
        let (end, is_comment) = match token(text, at) {
            Token::Comment(end) => (end, true),
            Token::Literal(end) => (end, false),
            Token::Code => {
                at += 1;
                continue;
            }
        };
        blank(&mut bare[at..end]);
        if is_comment {
            blank(&mut with_strings[at..end]);
        }
        at = end;
    }
    (with_strings, bare)
}

enum Token {
    /// A comment or a string or character literal, and where it ends.
    Comment(usize),
    Literal(usize),
    /// One byte of anything else.
    Code,
}

fn token(text: &[u8], at: usize) -> Token {
    let rest = &text[at..];
    match rest[0] {
        b'/' if rest.starts_with(b"//") => Token::Comment(find(text, at, b"\n")),
        b'/' if rest.starts_with(b"/*") => Token::Comment(block_comment_end(text, at)),
        b'"' => Token::Literal(quoted_end(text, at + 1, b'"')),
        b'r' if !continues_word(text, at) => {
            raw_string_end(text, at).map_or(Token::Code, Token::Literal)
        }
        // `'a'` and `'\n'` are characters, `'a` is a lifetime. Outside ASCII, a character has up to
        // four bytes, so the closing quote must be that near.
        b'\'' if rest.get(1) == Some(&b'\\') => Token::Literal(quoted_end(text, at + 1, b'\'')),
        b'\'' => match rest.iter().skip(2).take(4).position(|&byte| byte == b'\'') {
            Some(0) => Token::Literal(at + 3),
            Some(extra) if !rest[1].is_ascii() => Token::Literal(at + 3 + extra),
            _ => Token::Code,
        },
        _ => Token::Code,
    }
}

/// Block comments nest.
fn block_comment_end(text: &[u8], start: usize) -> usize {
    let (mut depth, mut at) = (0, start);
    while at < text.len() {
        if text[at..].starts_with(b"/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if text[at..].starts_with(b"*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

fn quoted_end(text: &[u8], mut at: usize, quote: u8) -> usize {
    while at < text.len() && text[at] != quote {
        at += if text[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(text.len())
}

/// The end of `r"..."` or `r#"..."#` at `start`; `None` if this is another word with r.
fn raw_string_end(text: &[u8], start: usize) -> Option<usize> {
    let hashes = text[start + 1..].iter().take_while(|&&byte| byte == b'#').count();
    let open = start + 1 + hashes;
    (text.get(open) == Some(&b'"')).then(|| {
        let close = [b"\"".as_slice(), "#".repeat(hashes).as_bytes()].concat();
        (find(text, open + 1, &close) + close.len()).min(text.len())
    })
}

/// Whether the byte before `at` belongs to the same word; `b` and `c` are string prefixes.
fn continues_word(text: &[u8], at: usize) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    match text[..at] {
        [.., before, b'b' | b'c'] => is_word(before),
        [.., before] => is_word(before) && !matches!(before, b'b' | b'c'),
        [] => false,
    }
}

/// The byte range of each item under `#[cfg(test)]`, with its attribute.
fn test_items(bare: &[u8]) -> Vec<std::ops::Range<usize>> {
    const ATTRIBUTE: &[u8] = b"#[cfg(test)]";
    let mut items = Vec::new();
    let mut at = find(bare, 0, ATTRIBUTE);
    while at < bare.len() {
        let end = item_end(bare, at + ATTRIBUTE.len());
        items.push(at..end);
        at = find(bare, end, ATTRIBUTE);
    }
    items
}

/// An item ends with its outermost brace, or with a semicolon outside of every bracket.
fn item_end(bare: &[u8], start: usize) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in bare.iter().enumerate().skip(start) {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 && matches!(byte, b'}' | b';') {
            return at + 1;
        }
    }
    bare.len()
}

/// The first `needle` from `start` on, or the end of the text.
fn find(text: &[u8], start: usize, needle: &[u8]) -> usize {
    let start = start.min(text.len());
    let found = text[start..].windows(needle.len()).position(|window| window == needle);
    found.map_or(text.len(), |offset| start + offset)
}

fn blank(bytes: &mut [u8]) {
    bytes.iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
}

fn into_text(bytes: Vec<u8>) -> String {
    // Only whole tokens are blanked, so no character is ever cut.
    String::from_utf8(bytes).expect("blanking a token keeps the text valid")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, with_strings: &str, bare: &str) {
        let code = Code::parse(text);
        let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(squeezed(&code.with_strings), with_strings);
        assert_eq!(squeezed(&code.bare), bare);
        assert_eq!((code.bare.len(), code.with_strings.len()), (text.len(), text.len()));
        let lines = |text: &str| text.matches('\n').count();
        assert_eq!(lines(&code.bare), lines(text));
    }

    #[test]
    fn comments_go() {
        check("//! doc\nlet a; // llama\n/// doc\nb", "let a; b", "let a; b");
        check("a /* x /* y */ z */ b", "a b", "a b");
        check("a /* open", "a", "a");
        check("größe // größe\n", "größe", "größe");
    }

    #[test]
    fn literals_are_told_from_comments() {
        check(r#"f("// no comment", b)"#, r#"f("// no comment", b)"#, "f( , b)");
        check(r#"f("a \" // b", c)"#, r#"f("a \" // b", c)"#, "f( , c)");
        check("f(r#\"a \" // b\"#, c)", "f(r#\"a \" // b\"#, c)", "f( , c)");
        check("f(br\"\\\", c)", "f(br\"\\\", c)", "f(b , c)");
        check("r#fn(for\n)", "r#fn(for )", "r#fn(for )");
    }

    #[test]
    fn characters_are_told_from_lifetimes() {
        check("x('\"', '\\'', '/', 'é')", "x('\"', '\\'', '/', 'é')", "x( , , , )");
        check(
            "fn f<'a>(x: &'a str, y: &'a u8)",
            "fn f<'a>(x: &'a str, y: &'a u8)",
            "fn f<'a>(x: &'a str, y: &'a u8)",
        );
        check("&'static str // c", "&'static str", "&'static str");
    }

    #[test]
    fn test_items_go() {
        check("a\n#[cfg(test)]\nmod tests { fn f() { \"}\"; } }\nb", "a b", "a b");
        check("#[cfg(test)]\n#[path = \"x\"]\nmod tests;\nb", "b", "b");
        check("#[cfg(test)]\nfn f(x: [u8; 4]) -> u8 { 1 }\nb", "b", "b");
        check(
            "#[cfg(not(test))]\nfn f() {}",
            "#[cfg(not(test))] fn f() {}",
            "#[cfg(not(test))] fn f() {}",
        );
    }
}
