//! Evaluation samples: a whole text, cut into consecutive sequences of equal length.

use crate::error::{CorpusError, Result};
use crate::{Samples, Text, Vocabulary};

/// Tokenises `text`, its rows joined with blank lines, and cuts it into consecutive samples of
/// `seqlen` tokens. The remainder is dropped. Special tokens stay where the tokenizer put them, so
/// at most the first sample has a beginning-of-sequence token. Conversations have theirs already.
///
/// # Errors
///
/// If the text is shorter than one sample, or the tokenizer fails.
///
/// # Panics
///
/// If `seqlen` is 0.
pub fn evaluation_samples(text: &Text, vocabulary: &Vocabulary, seqlen: usize) -> Result<Samples> {
    let mut ids = if text.is_chat() {
        vocabulary.encode_inner(&text.joined())?
    } else {
        vocabulary.encode(&text.joined())?
    };
    let count = ids.len() / seqlen;
    if count == 0 {
        let (text, tokens) = (text.source().into(), ids.len());
        return Err(CorpusError::TooShort { text, tokens, needed: seqlen });
    }
    ids.truncate(count * seqlen);
    let samples = Samples::new(ids, None, seqlen);
    Ok(if text.is_chat() { samples.of_chat() } else { samples })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{BOS, EOS, SEPARATOR, vocabulary};

    #[test]
    fn samples_are_the_text_in_order() {
        let vocabulary = vocabulary();
        // Nine tokens: `<s> w1 w2 <blank> <blank> w3 <blank> w4 </s>`.
        let text = Text::from_rows(&["w1 w2", "", "w3", "w4"]);
        let all = [BOS, 11, 12, SEPARATOR, SEPARATOR, 13, SEPARATOR, 14, EOS];
        for (seqlen, count) in [(1, 9), (2, 4), (3, 3), (4, 2), (5, 1), (9, 1)] {
            let samples = evaluation_samples(&text, &vocabulary, seqlen).unwrap();
            assert_eq!(samples.count(), count);
            assert_eq!(samples, Samples::new(all[..count * seqlen].to_vec(), None, seqlen));
        }
        let error = evaluation_samples(&text, &vocabulary, 10).unwrap_err().to_string();
        assert!(error.starts_with("test: has 9 tokens, but one sample needs 10"), "{error}");
    }
}
