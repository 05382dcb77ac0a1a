//! [`prompts`]: passages of samples that a model can continue.

use crate::Samples;

/// Passages of `tokens` ids, taken evenly from `samples`: at most `most`, or all if there are
/// fewer. Passages do not overlap, and hold no padding.
///
/// # Panics
///
/// If `tokens` is 0.
pub fn prompts(samples: &Samples, most: usize, tokens: usize) -> Vec<Vec<u32>> {
    let mut passages = Vec::new();
    for (ids, mask) in samples.batches(1) {
        let is_padded = |start: usize| {
            mask.is_some_and(|mask| mask[start..start + tokens].iter().any(|kept| !kept))
        };
        let whole = ids.chunks_exact(tokens).enumerate();
        passages.extend(whole.filter(|(index, _)| !is_padded(index * tokens)).map(|(_, ids)| ids));
    }
    let count = most.min(passages.len());
    (0..count).map(|index| passages[index * passages.len() / count].to_vec()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passages_are_spread_over_the_samples() {
        let samples = Samples::new((0..20).collect(), None, 5);
        assert_eq!(prompts(&samples, 2, 2), [[0, 1], [10, 11]]);
        assert_eq!(prompts(&samples, 3, 2), [[0, 1], [5, 6], [12, 13]]);
        // Two passages of each sample; its last token is left over.
        assert_eq!(prompts(&samples, 64, 2).len(), 8);
        assert_eq!(prompts(&samples, 64, 5).len(), 4);
        assert!(prompts(&samples, 64, 6).is_empty() && prompts(&samples, 0, 2).is_empty());
    }

    #[test]
    fn padding_is_in_no_passage() {
        let mask = vec![true, true, true, false, true, true, true, true];
        let samples = Samples::new((0..8).collect(), Some(mask), 4);
        assert_eq!(prompts(&samples, 9, 2), [[0, 1], [4, 5], [6, 7]]);
        assert_eq!(prompts(&samples, 9, 4), [[4, 5, 6, 7]]);
    }
}
