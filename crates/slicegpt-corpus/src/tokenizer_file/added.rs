//! [`Added`]: the tokens that are searched for in a text before it is divided into words.

use serde::Deserialize;

use crate::tokenizer_file::at_most;

/// Bytes of one of them.
const MAX_TOKEN: usize = 8192;

/// Bytes of all of them together.
const MAX_BYTES: f64 = (8 << 20) as f64;

/// The squares of their bytes together: the time to prepare the search for equal characters.
const MAX_SQUARES: f64 = 2e9;

/// Bytes that the search is prepared for. That is done again at each change from special tokens to
/// others.
const MAX_PREPARED: f64 = (64 << 20) as f64;

/// An added token.
#[derive(Deserialize)]
pub(super) struct Added {
    content: String,
    #[serde(default)]
    special: bool,
    #[serde(default)]
    normalized: bool,
}

/// Checks added tokens, where a normaliser makes a text `growth` times as long.
pub(super) fn check(tokens: &[Added], growth: f64) -> Result<(), String> {
    let (mut bytes, mut squares, mut runs) = (0.0, 0.0, 1.0);
    let mut is_special = None;
    for token in tokens {
        let times = if token.normalized { growth } else { 1.0 };
        let length = token.content.len() as f64 * times;
        at_most(length as usize, MAX_TOKEN, "bytes in an added token")?;
        bytes += length;
        squares += length * length;
        if is_special.is_some_and(|before| before != token.special) {
            runs += 1.0;
        }
        is_special = Some(token.special);
    }
    at_most_sum(bytes, MAX_BYTES, "bytes in added tokens")?;
    at_most_sum(squares, MAX_SQUARES, "squares of bytes in added tokens")?;
    at_most_sum(
        bytes * runs,
        MAX_PREPARED,
        "bytes to search, with special and other tokens in turn",
    )
}

fn at_most_sum(found: f64, most: f64, what: &str) -> Result<(), String> {
    match found <= most {
        true => Ok(()),
        false => Err(format!("has {found:.0} {what}, where at most {most:.0} are allowed")),
    }
}
