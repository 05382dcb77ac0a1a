//! [`decoding_context`]: the preceding tokens that a token must be decoded with.

use slicegpt_corpus::{Result, Vocabulary};

/// Number of tokens that suffice to know whether the next one begins with a space.
const CONTEXT: usize = 6;

/// Maximum number of further tokens of a character, which has at most four bytes.
pub(crate) const CONTINUATION: usize = 3;

/// Number of tokens that are searched for those with text: special tokens may be among them.
pub(crate) const WINDOW: usize = 64;

/// The replacement character, which decoders write for bytes that are not (yet) a character.
pub(crate) const REPLACEMENT: char = '\u{FFFD}';

/// The last few tokens of `ids` that have text, starting at the beginning of a character. Decoding
/// them together with the tokens that follow shows whether those begin with a space, and whether
/// they complete a character. Special tokens are left out.
///
/// # Errors
///
/// If the tokenizer fails.
pub fn decoding_context(ids: &[u32], vocabulary: &Vocabulary) -> Result<Vec<u32>> {
    let window = ids[ids.len().saturating_sub(WINDOW)..].iter().rev();
    let plain = window.filter(|id| vocabulary.special(**id).is_none());
    let mut plain: Vec<u32> = plain.take(CONTEXT + CONTINUATION).copied().collect();
    plain.reverse();
    let start = plain.len().saturating_sub(CONTEXT);
    // Some tokenizers replace a whole run of bytes if its first or its last character is
    // incomplete. The last character may have only begun.
    for last in (plain.len().saturating_sub(CONTINUATION)..=plain.len()).rev() {
        for first in
            (start.saturating_sub(CONTINUATION)..=start).rev().filter(|first| *first < last)
        {
            if !vocabulary.decode(&plain[first..last])?.starts_with(REPLACEMENT) {
                return Ok(plain.split_off(first));
            }
        }
    }
    Ok(plain.split_off(start))
}
