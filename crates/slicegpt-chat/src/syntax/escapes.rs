//! [`unescape`]: the text of a quoted string.

use crate::error::Error;

/// The text between the quotes of a string, with Python's escapes resolved.
pub fn unescape(quoted: &str, line: u32) -> Result<String, Error> {
    let mut text = String::with_capacity(quoted.len());
    let mut rest = quoted.chars().peekable();
    // The first half of a character that is written as two UTF-16 units.
    let mut high: Option<u32> = None;
    while let Some(character) = rest.next() {
        let code = if character != '\\' {
            u32::from(character)
        } else {
            let Some(escape) = rest.next() else { break };
            let plain = |code: char| Some(u32::from(code));
            let code = match escape {
                '\n' => None,
                'n' => plain('\n'),
                't' => plain('\t'),
                'r' => plain('\r'),
                'a' => Some(7),
                'b' => Some(8),
                'f' => Some(12),
                'v' => Some(11),
                '\\' | '\'' | '"' => plain(escape),
                'x' => Some(hexadecimal(&mut rest, 2, line)?),
                'u' => Some(hexadecimal(&mut rest, 4, line)?),
                'U' => Some(hexadecimal(&mut rest, 8, line)?),
                'N' => return Err(Error::syntax("characters by name (\\N) are not known", line)),
                '0'..='7' => {
                    let mut code = escape.to_digit(8).unwrap_or(0);
                    for _ in 0..2 {
                        let Some(digit) = rest.peek().and_then(|next| next.to_digit(8)) else {
                            break;
                        };
                        code = code * 8 + digit;
                        rest.next();
                    }
                    Some(code)
                }
                other => {
                    text.push('\\');
                    plain(other)
                }
            };
            let Some(code) = code else { continue };
            code
        };
        let code = match (high.take(), code) {
            (Some(first), 0xdc00..0xe000) => 0x10000 + ((first - 0xd800) << 10) + (code - 0xdc00),
            (None, 0xd800..0xdc00) => {
                high = Some(code);
                continue;
            }
            (None, code) => code,
            (Some(_), _) => return Err(Error::syntax("half a character in a string", line)),
        };
        let character = char::from_u32(code)
            .ok_or_else(|| Error::syntax(format!("no character \\U{code:08x}"), line))?;
        text.push(character);
    }
    match high {
        None => Ok(text),
        Some(_) => Err(Error::syntax("half a character in a string", line)),
    }
}

fn hexadecimal(
    rest: &mut std::iter::Peekable<std::str::Chars<'_>>,
    digits: usize,
    line: u32,
) -> Result<u32, Error> {
    let mut code = 0u32;
    for _ in 0..digits {
        let digit = rest.next().and_then(|next| next.to_digit(16));
        let digit = digit.ok_or_else(|| Error::syntax("an escape is too short", line))?;
        code = (code << 4) | digit;
    }
    Ok(code)
}
