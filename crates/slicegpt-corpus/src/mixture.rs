//! [`Mixture`]: calibration samples from several texts, in proportion to their shares.

use crate::Samples;
use crate::error::{CorpusError, Result};

/// The shares of several calibration texts.
#[derive(Clone, Debug, PartialEq)]
pub struct Mixture {
    /// Above 0; their sum is 1.
    shares: Vec<f64>,
}

impl Mixture {
    /// Texts with these shares. Texts without one divide evenly what the others leave of 1. If
    /// every text has a share, only their proportions count.
    ///
    /// # Errors
    ///
    /// If a share is not a finite number above 0, or nothing is left for a text without a share.
    ///
    /// # Panics
    ///
    /// If there is no text.
    pub fn new(shares: &[Option<f64>]) -> Result<Self> {
        assert!(!shares.is_empty(), "a mixture has at least one text");
        let given = || shares.iter().flatten();
        if let Some(share) = given().find(|share| !(share.is_finite() && **share > 0.0)) {
            return Err(CorpusError::Share(*share));
        }
        let sum: f64 = given().sum();
        let open = shares.len() - given().count();
        // Shares as small as the rounding error of a sum are no shares.
        let rest = if open == 0 { 0.0 } else { (1.0 - sum) / open as f64 };
        if open > 0 && rest < 1e-9 {
            return Err(CorpusError::NoShareLeft(sum));
        }
        let whole = sum + rest * open as f64;
        let shares = shares.iter().map(|share| share.unwrap_or(rest) / whole).collect();
        Ok(Self { shares })
    }

    /// The share of each text; the sum is 1.
    pub fn shares(&self) -> &[f64] {
        &self.shares
    }

    /// How many of `samples` samples each text gives: in proportion to the shares, with what
    /// remains by the largest fractions, and at least one from each text.
    ///
    /// # Errors
    ///
    /// If there are fewer samples than texts.
    pub fn counts(&self, samples: usize) -> Result<Vec<usize>> {
        let texts = self.shares.len();
        if samples < texts {
            return Err(CorpusError::FewerSamplesThanTexts { samples, texts });
        }
        let exact: Vec<f64> = self.shares.iter().map(|share| share * samples as f64).collect();
        let mut counts: Vec<usize> = exact.iter().map(|exact| *exact as usize).collect();
        let mut by_fraction: Vec<usize> = (0..texts).collect();
        by_fraction.sort_by(|a, b| exact[*b].fract().total_cmp(&exact[*a].fract()).then(a.cmp(b)));
        let missing = samples.saturating_sub(counts.iter().sum());
        by_fraction.iter().cycle().take(missing).for_each(|text| counts[*text] += 1);
        while let Some(none) = counts.iter().position(|count| *count == 0) {
            let most = (0..texts).max_by_key(|text| (counts[*text], texts - text)).unwrap_or(none);
            counts[most] -= 1;
            counts[none] += 1;
        }
        Ok(counts)
    }
}

impl Samples {
    /// The samples of several texts as one, evenly interleaved: every run of samples holds about
    /// the same proportions. The last samples are one of each text, so that the last quarter, which
    /// a refit holds out, holds every text if it has as many samples as there are texts.
    ///
    /// # Errors
    ///
    /// If the texts have samples of different lengths. Each comes with its name.
    ///
    /// # Panics
    ///
    /// If there is no text.
    pub fn interleaved(texts: &[(&str, Self)]) -> Result<Self> {
        let (name, first) = texts.first().expect("at least one text");
        let seqlen = first.seqlen();
        if let Some((other, found)) = texts.iter().find(|(_, found)| found.seqlen() != seqlen) {
            return Err(CorpusError::SampleLengths {
                texts: [(*name).into(), (*other).into()],
                lengths: [seqlen, found.seqlen()],
            });
        }
        let rows = texts.iter().enumerate().flat_map(|(text, (_, samples))| {
            let count = samples.count();
            let at = move |row: usize| (row + 1) as f64 / count as f64;
            samples.batches(1).enumerate().map(move |(row, ids)| (at(row), text, ids))
        });
        let mut rows: Vec<_> = rows.collect();
        rows.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let is_padded = rows.iter().any(|(_, _, (_, mask))| mask.is_some());
        let (mut ids, mut mask) = (Vec::new(), Vec::new());
        for (_, _, (row, kept)) in rows {
            ids.extend_from_slice(row);
            match kept {
                Some(kept) => mask.extend_from_slice(kept),
                None => mask.resize(ids.len(), true),
            }
        }
        Ok(Self::new(ids, is_padded.then_some(mask), seqlen))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(shares: &[Option<f64>]) -> Vec<f64> {
        Mixture::new(shares).unwrap().shares().to_vec()
    }

    fn counts(shares: &[f64], samples: usize) -> Vec<usize> {
        let shares: Vec<_> = shares.iter().map(|share| Some(*share)).collect();
        Mixture::new(&shares).unwrap().counts(samples).unwrap()
    }

    #[test]
    fn shares_are_completed_and_normalised() {
        assert_eq!(shares(&[Some(3.0), Some(1.0)]), [0.75, 0.25]);
        assert_eq!(shares(&[None, None, None, None]), [0.25; 4]);
        assert_eq!(shares(&[Some(0.5), None, None]), [0.5, 0.25, 0.25]);
        assert_eq!(shares(&[Some(7.0)]), [1.0]);
        for share in [0.0, -0.5, f64::NAN, f64::INFINITY] {
            let error = Mixture::new(&[Some(share), None]).unwrap_err().to_string();
            assert!(error.contains("share"), "{error}");
        }
        for sum in [1.0, 1.5] {
            let error = Mixture::new(&[Some(sum), None]).unwrap_err().to_string();
            assert!(error.contains(&format!("{sum}")), "{error}");
        }
    }

    #[test]
    fn samples_are_divided_by_the_largest_remainders() {
        assert_eq!(counts(&[0.7, 0.3], 10), [7, 3]);
        // 2.8 and 1.2, 4.67 and 2 and 1.33.
        assert_eq!(counts(&[0.7, 0.3], 4), [3, 1]);
        assert_eq!(counts(&[7.0, 3.0, 2.0], 8), [5, 2, 1]);
        assert_eq!(counts(&[1.0, 1.0, 1.0], 128), [43, 43, 42]);
        // Every text gives a sample, however small its share is.
        assert_eq!(counts(&[0.998, 0.001, 0.001], 4), [2, 1, 1]);
        assert_eq!(counts(&[1e-300, 1.0], 2), [1, 1]);
        for samples in 3..200 {
            let found = counts(&[0.61, 0.38, 0.01], samples);
            assert_eq!(found.iter().sum::<usize>(), samples);
            assert!(found.iter().all(|count| *count > 0), "{found:?}");
        }
        let two = Mixture::new(&[None, None]).unwrap();
        let error = two.counts(1).unwrap_err().to_string();
        assert!(error.contains("1 sample") && error.contains("2 texts"), "{error}");
    }

    /// `count` samples of two tokens, each the number of the text.
    fn samples(text: u32, count: usize) -> Samples {
        Samples::new(vec![text; 2 * count], None, 2)
    }

    /// The text of each sample.
    fn order(counts: &[usize]) -> Vec<u32> {
        let texts: Vec<_> =
            counts.iter().enumerate().map(|(i, count)| ("", samples(i as u32, *count))).collect();
        let all = Samples::interleaved(&texts).unwrap();
        all.batches(1).map(|(ids, _)| ids[0]).collect()
    }

    #[test]
    fn every_quarter_holds_every_text() {
        assert_eq!(order(&[3]), [0; 3]);
        assert_eq!(order(&[4, 2]), [0, 0, 1, 0, 0, 1]);
        for counts in [&[11, 5][..], &[90, 38], &[4, 4], &[7, 1], &[13, 2, 1], &[64, 32, 31, 1]] {
            let order = order(counts);
            let quarter = order.len() / 4;
            let held_out = &order[order.len() - quarter..];
            for (text, count) in counts.iter().enumerate() {
                let of_text = |some: &[u32]| some.iter().filter(|x| **x == text as u32).count();
                assert_eq!(of_text(&order), *count);
                let (held_out, even) = (of_text(held_out), *count as f64 / 4.0);
                assert!(held_out > 0, "{counts:?}: {order:?}");
                assert!((held_out as f64 - even).abs() <= 1.5, "{counts:?}: {order:?}");
            }
        }
    }

    #[test]
    fn masks_are_interleaved_too() {
        let padded = Samples::new(vec![5, 6, 7, 8], Some(vec![true, false, true, true]), 2);
        let all = Samples::interleaved(&[("a", samples(1, 1)), ("b", padded)]).unwrap();
        let mask = vec![true, false, true, true, true, true];
        assert_eq!(all, Samples::new(vec![5, 6, 1, 1, 7, 8], Some(mask), 2));
    }

    #[test]
    fn samples_of_different_lengths_are_an_error() {
        let longer = Samples::new(vec![1; 3], None, 3);
        let error = Samples::interleaved(&[("a", samples(1, 1)), ("b", longer)]).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("`a`") && error.contains("3 tokens"), "{error}");
    }
}
