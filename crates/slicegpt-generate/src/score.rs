//! [`Score`]: how likely a token was, and which others were.

use crate::log_softmax::LogSoftmax;

/// How likely a token was, and the most likely ones.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// The token.
    pub id: u32,
    /// The natural logarithm of its probability.
    pub log_probability: f32,
    /// The most likely tokens with theirs, the first the most likely.
    pub top: Vec<(u32, f32)>,
}

impl Score {
    /// Of token `id`, where the model gave `logits`, all finite; with the `most` most likely tokens.
    ///
    /// # Panics
    ///
    /// If there is no such logit.
    pub fn of(logits: &[f32], id: u32, most: usize) -> Self {
        let softmax = LogSoftmax::of(logits);
        let log_probability = |x: f32| softmax.log_probability(x);
        // Few are asked for: nearly every logit fails the first comparison.
        let mut top: Vec<(u32, f32)> = Vec::with_capacity(most + 1);
        for (id, x) in logits.iter().enumerate() {
            if top.len() == most && top.last().is_none_or(|(_, least)| x <= least) {
                continue;
            }
            // Behind its equals: of these the first stays first.
            let place = top.partition_point(|(_, other)| other >= x);
            top.insert(place, (id as u32, *x));
            top.truncate(most);
        }
        top.iter_mut().for_each(|(_, x)| *x = log_probability(*x));
        Self { id, log_probability: log_probability(logits[id as usize]), top }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log_probabilities;

    #[test]
    fn the_most_likely_come_first() {
        let logits = [0.5f32, -1.0, 2.0, 0.5, 2.0, -3.0];
        let all = log_probabilities(&logits);
        for most in 0..8 {
            let score = Score::of(&logits, 1, most);
            assert_eq!(score.log_probability, all[1]);
            let order = [2, 4, 0, 3, 1, 5];
            let want: Vec<_> = order.iter().take(most).map(|id| (*id, all[*id as usize])).collect();
            assert_eq!(score.top, want);
        }
    }
}
