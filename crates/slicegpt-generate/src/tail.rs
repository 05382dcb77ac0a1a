//! [`tail`]: the tokens at the end of a text that those behind it are decoded with.

use slicegpt_corpus::{Result, Vocabulary};

/// Tokens that are enough to know whether a space stands before the next.
const BEFORE: usize = 6;

/// The other tokens of a character, at most: it has four bytes.
pub(crate) const OTHERS: usize = 3;

/// Tokens that are looked through, as special ones may stand among them.
pub(crate) const FAR: usize = 64;

/// What stands for bytes that are no character.
pub(crate) const UNFINISHED: char = '\u{FFFD}';

/// The last tokens of `ids` that have text, a few of them, from the beginning of a character on. Decoded
/// with tokens that follow they are known to have a space before them or not, and to end a character or
/// not. Special tokens are left out.
///
/// # Errors
///
/// If the tokenizer fails.
pub fn tail(ids: &[u32], vocabulary: &Vocabulary) -> Result<Vec<u32>> {
    let near = ids[ids.len().saturating_sub(FAR)..].iter().rev();
    let plain = near.filter(|id| vocabulary.special(**id).is_none());
    let mut plain: Vec<u32> = plain.take(BEFORE + OTHERS).copied().collect();
    plain.reverse();
    let start = plain.len().saturating_sub(BEFORE);
    // Some tokenizers make nothing of all bytes in a row if the first, or the last, character of the row is
    // not whole: the last one may have only begun.
    for last in (plain.len().saturating_sub(OTHERS)..=plain.len()).rev() {
        for first in (start.saturating_sub(OTHERS)..=start).rev().filter(|first| *first < last) {
            if !vocabulary.decode(&plain[first..last])?.starts_with(UNFINISHED) {
                return Ok(plain.split_off(first));
            }
        }
    }
    Ok(plain.split_off(start))
}
