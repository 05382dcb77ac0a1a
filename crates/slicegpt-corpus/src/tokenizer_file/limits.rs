//! The limits of a tokenizer.

/// Bytes of a token of a vocabulary, or of another text that a tokenizer writes.
pub(super) const MAX_TOKEN: usize = 4096;

/// Tokens, and merges of them. The largest known vocabulary has a million.
pub(super) const MAX_TOKENS: usize = 4 << 20;

/// Values in any other part: numbers, texts, lists and objects.
pub(super) const MAX_VALUES: usize = 20_000;

/// Bytes of a text in a part, but for a map of characters.
pub(super) const MAX_TEXT: usize = 64 << 10;

/// Characters of a word that WordPiece looks up. All known tokenizers have 100.
pub(super) const MAX_WORD: u64 = 256;

/// Bytes of what is put before or after a part of a word.
pub(super) const MAX_AFFIX: usize = 64;

/// Checks that what was found is at most the limit.
pub(super) fn at_most(found: usize, most: usize, what: &str) -> Result<(), String> {
    if found <= most {
        Ok(())
    } else {
        Err(format!("has {found} {what}, where at most {most} are allowed"))
    }
}
