//! [`Added`]: the tokens that are searched for in a text before it is divided into words.

use serde::Deserialize;

use crate::tokenizer_file::limits::at_most;

/// Bytes of one of them.
const MAX_TOKEN: usize = 2048;

/// Bytes of all of them together.
const MAX_BYTES: f64 = (4 << 20) as f64;

/// Up to so many tokens the library makes a table for the search, in time that grows with the
/// squares of their lengths.
const FEW: usize = 100;

/// The squares of the lengths of few tokens together.
const MAX_SQUARES: f64 = (8 << 20) as f64;

/// An added token.
#[derive(Deserialize)]
pub(super) struct Added {
    content: String,
    #[serde(default)]
    normalized: bool,
}

/// Checks added tokens, where a normaliser makes a text `growth` times as long.
pub(super) fn check(tokens: &[Added], growth: f64) -> Result<(), String> {
    // Tokens to be searched for in the text before and after it is normalised.
    for normalized in [false, true] {
        let (mut count, mut bytes, mut squares) = (0, 0.0, 0.0);
        for token in tokens.iter().filter(|token| token.normalized == normalized) {
            let times = if normalized { growth } else { 1.0 };
            let length = token.content.len() as f64 * times;
            at_most(length as usize, MAX_TOKEN, "bytes in an added token")?;
            count += 1;
            bytes += length;
            squares += length * length;
        }
        at_most_sum(bytes, MAX_BYTES, "bytes in added tokens")?;
        if count <= FEW {
            at_most_sum(
                squares,
                MAX_SQUARES,
                "as the sum of squares of the bytes of added tokens",
            )?;
        }
    }
    Ok(())
}

fn at_most_sum(found: f64, most: f64, what: &str) -> Result<(), String> {
    if found <= most {
        Ok(())
    } else {
        Err(format!("has {found:.0} {what}, where at most {most:.0} are allowed"))
    }
}
