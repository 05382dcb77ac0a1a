//! Samples for perplexity: all of a text, cut into pieces of equal length.

use crate::error::{CorpusError, Result};
use crate::{Samples, Text, Vocabulary};

/// All of `text`, its rows joined with blank lines, tokenised once and cut into pieces of `seqlen`
/// tokens that do not overlap. What remains at the end is dropped. Special tokens stand where the
/// tokenizer put them, so that at most the first piece has a beginning-of-text token.
///
/// # Errors
///
/// If the text is shorter than one piece, or the tokenizer fails.
///
/// # Panics
///
/// If `seqlen` is 0.
pub fn evaluation_samples(text: &Text, vocabulary: &Vocabulary, seqlen: usize) -> Result<Samples> {
    let mut ids = vocabulary.encode(&text.joined())?;
    let pieces = ids.len() / seqlen;
    if pieces == 0 {
        let (text, tokens) = (text.source().into(), ids.len());
        return Err(CorpusError::TooShort { text, tokens, needed: seqlen });
    }
    ids.truncate(pieces * seqlen);
    Ok(Samples::new(ids, None, seqlen))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{BOS, EOS, SEPARATOR, vocabulary};

    #[test]
    fn pieces_are_the_text_in_order() {
        let vocabulary = vocabulary();
        // Nine tokens: `<s> w1 w2 <blank> <blank> w3 <blank> w4 </s>`.
        let text = Text::from_rows(&["w1 w2", "", "w3", "w4"]);
        let all = [BOS, 11, 12, SEPARATOR, SEPARATOR, 13, SEPARATOR, 14, EOS];
        for (seqlen, pieces) in [(1, 9), (2, 4), (3, 3), (4, 2), (5, 1), (9, 1)] {
            let samples = evaluation_samples(&text, &vocabulary, seqlen).unwrap();
            assert_eq!(samples.count(), pieces);
            assert_eq!(samples, Samples::new(all[..pieces * seqlen].to_vec(), None, seqlen));
        }
        let error = evaluation_samples(&text, &vocabulary, 10).unwrap_err().to_string();
        assert!(error.starts_with("test: has 9 tokens, but one sample needs 10"), "{error}");
    }
}
