//! Calibration samples: random rows of a text, joined until they are long enough.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::error::{CorpusError, Result};
use crate::{Samples, Text, Vocabulary};

/// Up to `count` samples of `seqlen` tokens from `text`. `seed` alone determines the choice.
///
/// First come **chains** of rows, as in the reference implementation: a row is chosen at random
/// among the unused ones, and the unused rows after it are joined to it with blank lines until
/// there are `seqlen` tokens; the rest of the last row is dropped. These rows are then used up,
/// even if the text ended before the chain was long enough, which gives no sample. Empty rows are
/// skipped. Each row is tokenised separately, together with the blank line before it.
///
/// If the rows run out first, as in a text of few long rows, then come **windows**: the whole text
/// is tokenised once, and windows are cut out at random offsets. Windows do not overlap each other,
/// but may overlap chains. Their number is limited such that chains and windows together have no
/// more tokens than the text.
///
/// Conversations have all their special tokens, and nothing comes between two of them. Any other
/// sample begins with the special tokens that the tokenizer puts before a text, which count
/// as part of `seqlen`, and has none of those that it puts after one.
///
/// There may be fewer samples than `count`.
///
/// # Errors
///
/// If the text is shorter than one sample, or the tokenizer fails.
///
/// # Panics
///
/// If `count` or `seqlen` is 0.
pub fn calibration_samples(
    text: &Text,
    vocabulary: &Vocabulary,
    count: usize,
    seqlen: usize,
    seed: u64,
) -> Result<Samples> {
    assert!(count > 0 && seqlen > 0, "count and seqlen are positive");
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut ids = chains(text, vocabulary, count, seqlen, &mut random)?;
    let found = ids.len() / seqlen;
    if found < count {
        let (start, inner) = start(text, vocabulary, &text.joined())?;
        // A window has at least one token of the text, however many special tokens come first.
        let room = seqlen.saturating_sub(start.len()).max(1);
        let wanted = count.min(inner.len() / room).saturating_sub(found);
        for offset in offsets(inner.len(), wanted, room, &mut random) {
            let sample = start.iter().chain(&inner[offset..offset + room]);
            ids.extend(sample.take(seqlen));
        }
        if ids.is_empty() {
            let (text, tokens) = (text.source().into(), start.len() + inner.len());
            return Err(CorpusError::TooShort { text, tokens, needed: seqlen });
        }
    }
    Ok(Samples::new(ids, None, seqlen))
}

/// The ids of all chains of rows, concatenated.
fn chains(
    text: &Text,
    vocabulary: &Vocabulary,
    count: usize,
    seqlen: usize,
    random: &mut ChaCha8Rng,
) -> Result<Vec<u32>> {
    let mut unused: Vec<&str> =
        text.rows().iter().map(String::as_str).filter(|row| !row.is_empty()).collect();
    let mut ids = Vec::new();
    while ids.len() / seqlen < count && !unused.is_empty() {
        let first = random.random_range(0..unused.len());
        let (mut sample, inner) = start(text, vocabulary, unused[first])?;
        sample.extend(inner);
        let mut end = first + 1;
        while sample.len() < seqlen && end < unused.len() {
            let next = format!("{}{}", text.separator(), unused[end]);
            sample.extend(vocabulary.encode_inner(&next)?);
            end += 1;
        }
        unused.drain(first..end);
        if sample.len() >= seqlen {
            ids.extend(&sample[..seqlen]);
        }
    }
    Ok(ids)
}

/// The special tokens that come before `part` of a text, and the ids of that. Conversations have
/// their special tokens already.
fn start(text: &Text, vocabulary: &Vocabulary, part: &str) -> Result<(Vec<u32>, Vec<u32>)> {
    if text.is_chat() {
        Ok((Vec::new(), vocabulary.encode_inner(part)?))
    } else {
        vocabulary.encode_start(part)
    }
}

/// The offsets of `count` windows of `width` tokens that do not overlap within `length`, with all
/// arrangements equally likely; `count * width <= length`.
fn offsets(length: usize, count: usize, width: usize, random: &mut ChaCha8Rng) -> Vec<usize> {
    // Choose points in the length without the windows, then insert a window at each point.
    let gaps = length - count * width;
    let mut points: Vec<usize> = (0..count).map(|_| random.random_range(0..=gaps)).collect();
    points.sort_unstable();
    points.iter().enumerate().map(|(i, point)| point + i * width).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{BOS, EOS, SEPARATOR, WORDS, vocabulary, words};

    fn samples(rows: &[&str], count: usize, seqlen: usize, seed: u64) -> Vec<Vec<u32>> {
        let text = Text::from_rows(rows);
        let samples = calibration_samples(&text, &vocabulary(), count, seqlen, seed).unwrap();
        samples.batches(1).map(|(ids, _)| ids.to_vec()).collect()
    }

    #[test]
    fn chains_join_rows_until_they_are_long_enough() {
        // Two rows per sample: `<s> wi wi <blank> wj wj`, of which the last token is cut off.
        let rows: Vec<String> = (0..40).map(|i| format!("w{i} w{i}")).collect();
        let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
        for seed in 0..20 {
            let samples = samples(&rows, 8, 5, seed);
            assert_eq!(samples.len(), 8);
            let mut used = Vec::new();
            for sample in samples {
                let (i, j) = (sample[1], sample[4]);
                assert_eq!(sample, [BOS, i, i, SEPARATOR, j]);
                assert!(j > i);
                used.extend([i, j]);
            }
            let rows = used.len();
            used.sort_unstable();
            used.dedup();
            assert_eq!(used.len(), rows, "no row is used twice");
        }
    }

    #[test]
    fn empty_rows_are_skipped() {
        for seed in 0..20 {
            assert_eq!(samples(&["", "w1", ""], 1, 2, seed), [[BOS, 11]]);
        }
    }

    #[test]
    fn one_long_row_is_cut_at_random_offsets() {
        let row = words(0..100);
        for seed in 0..20 {
            let samples = samples(&[&row], 7, 11, seed);
            assert_eq!(samples.len(), 7);
            let mut starts = Vec::new();
            for sample in &samples {
                // Ten words in a row.
                let expected: Vec<u32> = (sample[1]..sample[1] + 10).collect();
                assert_eq!((sample[0], &sample[1..]), (BOS, &expected[..]));
                starts.push(sample[1] - WORDS);
            }
            assert_eq!(starts[0], 0, "the chain");
            assert!(starts[1..].windows(2).all(|pair| pair[1] - pair[0] >= 10), "{starts:?}");
        }
    }

    #[test]
    fn samples_never_have_more_tokens_than_the_text() {
        // Room for 100 / 10.
        let row = words(0..100);
        assert_eq!(samples(&[&row], 128, 11, 0).len(), 10);
        // Four rows with blank lines are 43 tokens, but chains use up two rows each.
        let rows: Vec<String> = (0..4).map(|i| words(i * 10..i * 10 + 10)).collect();
        let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
        for seed in 0..20 {
            assert_eq!(samples(&rows, 128, 12, seed).len(), 3);
        }
    }

    #[test]
    fn a_text_shorter_than_a_sample_is_an_error() {
        let text = Text::from_rows(&["w1 w2", "w3"]);
        // `<s> w1 w2 <blank> w3`: five tokens. A window finds them even if the chain began at the
        // last row.
        for seed in 0..10 {
            let vocabulary = vocabulary();
            let one = calibration_samples(&text, &vocabulary, 9, 5, seed).unwrap();
            assert_eq!(one, Samples::new(vec![BOS, 11, 12, SEPARATOR, 13], None, 5));
            let error = calibration_samples(&text, &vocabulary, 9, 6, seed).unwrap_err();
            let error = error.to_string();
            assert!(error.starts_with("test: has 5 tokens, but one sample needs 6"), "{error}");
        }
        // Samples of special tokens only are useless, but not an error.
        assert_eq!(samples(&["w1 w2"], 1, 1, 0), [[BOS]]);
        assert!(!samples(&["w1 w2"], 9, 1, 0).concat().contains(&EOS));
    }

    #[test]
    fn the_seed_determines_the_samples() {
        let vocabulary = vocabulary();
        let rows: Vec<String> = (0..200).map(|i| words(i..i + 5)).collect();
        let rows = Text::from_rows(&rows.iter().map(String::as_str).collect::<Vec<_>>());
        let long = Text::from_rows(&[&words(0..900)]);
        let digest = |text: &Text, seed| {
            calibration_samples(text, &vocabulary, 8, 32, seed).unwrap().digest()
        };
        for text in [&rows, &long] {
            assert_eq!(digest(text, 1), digest(text, 1));
            assert_ne!(digest(text, 1), digest(text, 2));
        }
        // A seed gives the same samples in every version of this crate.
        assert_eq!(
            digest(&rows, 42),
            "4add66cf4187a232a1fd77600f9640e068accf63292757559bd868bfe0abaf16"
        );
        assert_eq!(
            digest(&long, 42),
            "aef1bd1e2970769465a6e627145dad5211df7818031f5b190e9a1e41cb306844"
        );
    }
}
