//! Two decoders on the same text: a decoder compared with itself, and with another.

use slicegpt_core::{Lanes, TokenBatch, Unobserved};
use slicegpt_eval::{Comparison, EvalError, comparison, divergence, perplexity};
use slicegpt_models::Model;
use slicegpt_testkit::{ToySource, device, spec};

fn model(seed: u64) -> Model<ToySource> {
    Model::new(spec("llama"), ToySource { seed }, device())
}

/// Two batches of sequences of eight tokens; the last token of the first sequence is padding.
fn batches() -> Vec<TokenBatch> {
    let ids = |from: u32, count: u32| (from..from + count).map(|id| id * 7 % 40).collect();
    let mask = (0..16).map(|token| token != 7).collect();
    vec![TokenBatch::new(ids(0, 16), Some(mask), 8), TokenBatch::new(ids(16, 8), None, 8)]
}

fn compared(first: u64, second: u64, ignored: Option<u32>) -> Comparison {
    let (first, second) = (model(first), model(second));
    let lanes = Lanes::default();
    comparison(&first, &second, &batches(), &lanes, ignored, &Unobserved).unwrap()
}

#[test]
fn a_decoder_agrees_with_itself() {
    let Comparison { base, decoder, divergence } = compared(1, 1, None);
    assert_eq!(base, decoder);
    assert!(divergence.mean.abs() < 1e-9, "{divergence:?}");
    assert_eq!((divergence.agreement, divergence.tokens, divergence.samples), (1.0, 23, 3));
}

/// One pass gives the same numbers as the functions that compute only one of them.
#[test]
fn the_numbers_are_those_of_separate_passes() {
    let found = compared(1, 2, Some(5));
    assert!(found.divergence.mean > 0.1 && found.divergence.agreement < 1.0, "{found:?}");
    let (first, second) = (model(1), model(2));
    let lanes = Lanes::default();
    let score = |model| perplexity(model, &batches(), &lanes, Some(5), &Unobserved).unwrap();
    assert_eq!(found.base, score(&first));
    assert_eq!(found.decoder, score(&second));
    let kl = divergence(&first, &second, &batches(), &lanes, &Unobserved).unwrap();
    assert_eq!(found.divergence, kl);
}

#[test]
fn one_token_has_no_label() {
    let batch = [TokenBatch::new(vec![3, 4], None, 1)];
    let found =
        comparison(&model(1), &model(2), &batch, &Lanes::default(), None, &Unobserved).unwrap_err();
    assert!(matches!(found, EvalError::Nothing), "{found}");
}
