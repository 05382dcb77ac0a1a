//! The lexer: [`tokens`] of a template, without the spaces around tags that transformers' settings
//! remove (`trim_blocks`, `lstrip_blocks`).

use std::sync::Arc;

use crate::error::Error;
use crate::syntax::escapes::unescape;
use crate::syntax::tokens::{Kind, Token};
use crate::value::space::is_space;

/// The tokens of `source`.
pub fn tokens(source: &str) -> Result<Vec<Token>, Error> {
    let mut source = source.replace("\r\n", "\n").replace('\r', "\n");
    if source.ends_with('\n') {
        source.pop();
    }
    let mut lexer = Lexer { source: &source, at: 0, line: 1, fresh: true, tokens: Vec::new() };
    while lexer.at < source.len() {
        lexer.outside()?;
    }
    lexer.push(Kind::End);
    Ok(lexer.tokens)
}

struct Lexer<'a> {
    source: &'a str,
    at: usize,
    line: u32,
    /// Whether the current position is the beginning of a line.
    fresh: bool,
    tokens: Vec<Token>,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.source[self.at..]
    }

    fn push(&mut self, kind: Kind) {
        self.tokens.push(Token { kind, line: self.line });
    }

    /// Advances by `bytes`.
    fn skip(&mut self, bytes: usize) {
        let skipped = &self.source[self.at..self.at + bytes];
        self.line += skipped.bytes().filter(|byte| *byte == b'\n').count() as u32;
        self.fresh = skipped.ends_with('\n') || (skipped.is_empty() && self.fresh);
        self.at += bytes;
    }

    fn skip_spaces(&mut self) {
        let rest = self.rest();
        self.skip(rest.len() - rest.trim_start_matches(is_space).len());
    }

    /// Text up to the next tag, and the tag.
    fn outside(&mut self) -> Result<(), Error> {
        let rest = self.rest();
        let begin = rest
            .match_indices('{')
            .map(|(at, _)| at)
            .find(|at| matches!(rest.as_bytes().get(at + 1), Some(b'{' | b'%' | b'#')));
        let Some(begin) = begin else {
            self.text(rest);
            self.skip(rest.len());
            return Ok(());
        };
        let what = rest.as_bytes()[begin + 1];
        let sign = rest.as_bytes().get(begin + 2).copied();
        let sign = sign.filter(|sign| matches!(sign, b'-' | b'+'));
        let text = self.before_tag(&rest[..begin], sign, what != b'{');
        self.text(text);
        self.skip(begin);
        let width = 2 + usize::from(sign.is_some());
        match what {
            b'{' => {
                self.push(Kind::PrintBegin);
                self.skip(width);
                self.inside("}}", Kind::PrintEnd)
            }
            b'#' => {
                let line = self.line;
                self.skip(width);
                let end = self.rest().find("#}");
                let end = end.ok_or_else(|| Error::syntax("a comment does not end", line))?;
                self.close(end, "#}");
                Ok(())
            }
            _ if self.raw(width)? => Ok(()),
            _ => {
                self.push(Kind::TagBegin);
                self.skip(width);
                self.inside("%}", Kind::TagEnd)
            }
        }
    }

    fn text(&mut self, text: &str) {
        if !text.is_empty() {
            self.push(Kind::Data(Arc::from(text)));
        }
    }

    /// `text` without the spaces that a tag after it removes.
    fn before_tag<'t>(&self, text: &'t str, sign: Option<u8>, block: bool) -> &'t str {
        match sign {
            Some(b'-') => text.trim_end_matches(is_space),
            None if block => {
                let line = text.rfind('\n').map(|at| at + 1);
                let begin = line.unwrap_or(0);
                let alone = line.is_some() || self.fresh;
                if alone && text[begin..].chars().all(is_space) { &text[..begin] } else { text }
            }
            _ => text,
        }
    }

    /// Skips the end of a block or comment at `end`, with the spaces and the line end that it
    /// removes.
    fn close(&mut self, end: usize, tag: &str) {
        let sign = self.rest()[..end].bytes().last();
        self.skip(end + tag.len());
        match sign {
            Some(b'-') => self.skip_spaces(),
            Some(b'+') => {}
            _ if self.rest().starts_with('\n') => self.skip(1),
            _ => {}
        }
    }

    /// The text of a raw block, if one begins here with a tag of `width` bytes.
    fn raw(&mut self, width: usize) -> Result<bool, Error> {
        let Some((begin, dash)) = word_tag(&self.rest()[width..], "raw") else { return Ok(false) };
        let line = self.line;
        self.skip(width + begin);
        if dash {
            self.skip_spaces();
        }
        let rest = self.rest();
        let mut from = 0;
        while let Some(at) = rest[from..].find("{%").map(|at| from + at) {
            let sign = rest.as_bytes().get(at + 2).copied().filter(|c| matches!(c, b'-' | b'+'));
            let width = 2 + usize::from(sign.is_some());
            if let Some((end, _)) = word_tag(&rest[at + width..], "endraw") {
                let text = self.before_tag(&rest[..at], sign, true);
                self.text(text);
                self.close(at + width + end - 2, "%}");
                return Ok(true);
            }
            from = at + 2;
        }
        Err(Error::syntax("a raw block does not end", line))
    }

    /// The words of a tag, up to `end`.
    fn inside(&mut self, end: &str, kind: Kind) -> Result<(), Error> {
        let mut brackets = Vec::new();
        loop {
            self.skip_spaces();
            let rest = self.rest();
            if brackets.is_empty() {
                let unsigned = rest.strip_prefix(['-', '+']).unwrap_or(rest);
                let plus = rest.starts_with('+') && end == "}}";
                if unsigned.starts_with(end) && !plus {
                    self.push(kind);
                    let sign = rest.len() - unsigned.len();
                    if end == "%}" {
                        self.close(sign, end);
                    } else {
                        self.skip(sign + end.len());
                        if sign == 1 {
                            self.skip_spaces();
                        }
                    }
                    return Ok(());
                }
            }
            let Some(first) = rest.chars().next() else {
                return Err(Error::syntax("a tag does not end", self.line));
            };
            match first {
                '\'' | '"' => self.string(first)?,
                '0'..='9' => self.number()?,
                first if first == '_' || first.is_alphanumeric() => {
                    let word = |c: char| c == '_' || c.is_alphanumeric();
                    let name = &rest[..rest.find(|c| !word(c)).unwrap_or(rest.len())];
                    self.push(Kind::Name(Arc::from(name)));
                    self.skip(name.len());
                }
                _ => self.sign(&mut brackets)?,
            }
        }
    }

    fn sign(&mut self, brackets: &mut Vec<&'static str>) -> Result<(), Error> {
        const SIGNS: [&str; 26] = [
            "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")",
            "{", "}", ">", "<", "=", ".", ":", "|", ",", ";",
        ];
        let rest = self.rest();
        let sign = SIGNS.into_iter().find(|sign| rest.starts_with(sign));
        let Some(sign) = sign else {
            let first = rest.chars().next().unwrap_or(' ');
            return Err(Error::syntax(format!("unexpected character {first:?}"), self.line));
        };
        match sign {
            "[" => brackets.push("]"),
            "(" => brackets.push(")"),
            "{" => brackets.push("}"),
            "]" | ")" | "}" if brackets.pop() != Some(sign) => {
                return Err(Error::syntax(format!("unexpected '{sign}'"), self.line));
            }
            _ => {}
        }
        self.push(Kind::Sign(sign));
        self.skip(sign.len());
        Ok(())
    }

    fn string(&mut self, quote: char) -> Result<(), Error> {
        let rest = &self.rest()[1..];
        let mut escaped = false;
        let end = rest.char_indices().find(|(_, character)| {
            let ends = *character == quote && !escaped;
            escaped = *character == '\\' && !escaped;
            ends
        });
        let Some((end, _)) = end else {
            return Err(Error::syntax("a string does not end", self.line));
        };
        let text = unescape(&rest[..end], self.line)?;
        self.push(Kind::Text(Arc::from(text)));
        self.skip(end + 2);
        Ok(())
    }

    fn number(&mut self) -> Result<(), Error> {
        let rest = self.rest();
        let word = |c: char| c == '_' || c.is_ascii_alphanumeric();
        let mut text = &rest[..rest.find(|c| !word(c)).unwrap_or(rest.len())];
        let after_dot = matches!(self.tokens.last(), Some(Token { kind: Kind::Sign("."), .. }));
        let decimal = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
        if decimal && !after_dot {
            text = &rest[..text.len() + fraction(&rest[text.len()..])];
        } else if !after_dot && !text[..2.min(text.len())].ends_with(['x', 'X', 'b', 'o']) {
            // The mantissa has no fraction: `1e5`, `1e-5`.
            let digits = text.find(|c: char| !(c.is_ascii_digit() || c == '_'));
            let digits = digits.unwrap_or(text.len());
            text = &rest[..digits + exponent(&rest[digits..])];
        }
        let plain = text.replace('_', "").to_ascii_lowercase();
        let radix = |prefix: &str, radix| {
            plain.strip_prefix(prefix).map(|digits| i128::from_str_radix(digits, radix))
        };
        let whole = radix("0x", 16).or(radix("0o", 8)).or(radix("0b", 2));
        let invalid = || Error::syntax(format!("no number: {text}"), self.line);
        let kind = match whole.or_else(|| {
            plain.bytes().all(|byte| byte.is_ascii_digit()).then(|| plain.parse::<i128>())
        }) {
            Some(whole) => Kind::Int(whole.map_err(|_| invalid())?),
            None => Kind::Float(plain.parse().map_err(|_| invalid())?),
        };
        self.push(kind);
        self.skip(text.len());
        Ok(())
    }
}

/// The bytes of a fraction and an exponent at the start of `rest`.
fn fraction(rest: &str) -> usize {
    let digits = |text: &str| {
        let digit = |c: char| c.is_ascii_digit() || c == '_';
        text.find(|c| !digit(c)).unwrap_or(text.len())
    };
    let fraction = match rest.strip_prefix('.').map(digits) {
        None | Some(0) => return exponent(rest),
        Some(count) => 1 + count,
    };
    fraction + exponent(&rest[fraction..])
}

/// The bytes of an exponent at the start of `rest`.
fn exponent(rest: &str) -> usize {
    let Some(after) = rest.strip_prefix(['e', 'E']) else { return 0 };
    let unsigned = after.strip_prefix(['+', '-']).unwrap_or(after);
    let digits = unsigned.find(|c: char| !c.is_ascii_digit()).unwrap_or(unsigned.len());
    if digits == 0 { 0 } else { rest.len() - unsigned.len() + digits }
}

/// The bytes of a tag that is one `word`, after its `{%` and sign, and whether it ends with a dash.
fn word_tag(rest: &str, word: &str) -> Option<(usize, bool)> {
    let after = rest.trim_start_matches(is_space).strip_prefix(word)?;
    let after = after.trim_start_matches(is_space);
    let unsigned = after.strip_prefix(['-', '+']).unwrap_or(after);
    let end = unsigned.strip_prefix("%}")?;
    Some((rest.len() - end.len(), after.starts_with('-')))
}
