//! How much calibration text is enough: the number of sequences that a model's width asks for, and
//! what is said if there is too little.

use slicegpt_core::{Axis, Observer};

use crate::{Dimensions, Plan};

/// Tokens for each direction of the largest fit that [`enough_sequences`] aims at.
pub const TOKENS_PER_DIRECTION: usize = 64;

/// The least number of tokens that [`enough_sequences`] aims at: with fewer, the few directions of
/// a small model are determined, and the held-out error is not.
const LEAST_TOKENS: usize = 1 << 15;

/// The least and the largest number of sequences that [`enough_sequences`] asks for.
const SEQUENCES: [usize; 2] = [16, 128];

/// Above this the error on held-out tokens says that the fits follow the calibration text. On the
/// models of `fixtures` and on SmolLM2-135M, with 512 to 16384 tokens of one kind, the ratio is
/// between 0.9 and 1.3, because each fit chooses its strength by the held-out tokens. It is above
/// 10 where the held-out quarter is of another kind than the rest.
const OVERFIT: f64 = 2.0;

/// The number of directions that the largest fit of a plan is solved for: the width of the stream,
/// or with a refit that of the widest MLP if it is greater.
pub fn directions(plan: &Plan, dense: &(impl Dimensions + ?Sized)) -> usize {
    let inner = if plan.refit().is_some() { dense.widest(Axis::Mlp) } else { 0 };
    dense.hidden_size().max(inner)
}

/// The number of sequences of `seqlen` tokens that hold [`TOKENS_PER_DIRECTION`] tokens for each of
/// `directions` directions, and at least 32,768 tokens: from 16 to 128 sequences.
///
/// # Panics
///
/// If `seqlen` is 0.
pub fn enough_sequences(directions: usize, seqlen: usize) -> usize {
    let [least, most] = SEQUENCES;
    let tokens = directions.saturating_mul(TOKENS_PER_DIRECTION).max(LEAST_TOKENS);
    tokens.div_ceil(seqlen).clamp(least, most)
}

/// Warns if there are fewer tokens than directions: the sums then leave some undetermined.
pub(crate) fn warn_if_few(tokens: usize, directions: usize, observer: &dyn Observer) {
    if tokens < directions {
        observer.warn(&format!(
            "{tokens} calibration tokens are fewer than the {directions} directions of the largest \
             fit; more text gives a better model"
        ));
    }
}

/// Says if held-out tokens show that the fits follow the calibration text.
pub(crate) fn note_overfit(held_out_ratio: Option<f64>, observer: &dyn Observer) {
    if let Some(ratio) = held_out_ratio.filter(|ratio| *ratio > OVERFIT) {
        observer.note(&format!(
            "the calibration text is overfitted: on held-out sequences of it the error of the \
             refit is {ratio:.1} times that on the fitted ones; more text, or text of more kinds, \
             gives a better model"
        ));
    }
}

#[cfg(test)]
mod tests {
    use slicegpt_testkit::Said;

    use super::*;
    use crate::Refit;

    /// What was said, at most one message.
    fn said(say: impl FnOnce(&dyn Observer)) -> String {
        let said = Said::default();
        say(&said);
        let said = said.messages();
        assert!(said.len() < 2, "{said:?}");
        said.concat()
    }

    #[test]
    fn sequences_follow_the_width_within_limits() {
        // SmolLM2-135M: 64 x 1536 tokens.
        assert_eq!(enough_sequences(1536, 1024), 96);
        assert_eq!(enough_sequences(1536, 2048), 48);
        assert_eq!(enough_sequences(1537, 1024), 97);
        assert_eq!(enough_sequences(341, 2048), 16);
        assert_eq!(enough_sequences(341, 512), 64);
        assert_eq!(enough_sequences(341, 256), 128);
        assert_eq!(enough_sequences(11008, 2048), 128);
        assert_eq!(enough_sequences(usize::MAX, 1), 128);
    }

    #[test]
    fn the_largest_fit_depends_on_the_refit() {
        let spec = slicegpt_testkit::spec("llama");
        let [hidden, inner] = [spec.hidden_size, spec.mlp.intermediate_size];
        assert!(inner > hidden);
        assert_eq!(directions(&Plan::default(), &spec), inner);
        let plain = Plan { refit: Some(Refit::None), ..Plan::default() };
        assert_eq!(directions(&plain, &spec), hidden);
    }

    #[test]
    fn fewer_tokens_than_directions_give_a_warning_with_both_numbers() {
        let said = |tokens| said(|observer| warn_if_few(tokens, 341, observer));
        assert!(said(340).starts_with("warning: 340 calibration tokens are fewer than the 341"));
        assert_eq!(said(341), "");
    }

    #[test]
    fn an_overfitted_text_gives_a_note_with_the_ratio() {
        let said = |ratio| said(|observer| note_overfit(ratio, observer));
        let much = said(Some(3.66));
        assert!(much.starts_with("note: ") && much.contains(" is 3.7 times "), "{much}");
        assert_eq!(said(Some(1.9)), "");
        assert_eq!(said(None), "");
    }
}
