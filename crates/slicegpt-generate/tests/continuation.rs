//! Greedy continuations: those of a batch are those of each prompt alone, step by step.

use std::ops::ControlFlow;

use burn::tensor::DType;
use slicegpt_core::{Observer, Unobserved};
use slicegpt_generate::{Engine, greedy_continuations, same_beginnings};
use slicegpt_models::{Cache, Model};
use slicegpt_testkit::{ToySource, device, spec};

fn engine(seed: u64) -> Engine<ToySource> {
    let model = Model::new(spec("llama"), ToySource { seed }, device());
    Engine::load(model, DType::F32, &Unobserved).unwrap().expect("loading was not cancelled")
}

fn prompts() -> Vec<Vec<u32>> {
    vec![vec![1, 2, 3], vec![30, 31], vec![7, 7, 7, 7], vec![12]]
}

fn continued(engine: &Engine<ToySource>, eos: &[u32]) -> Vec<Vec<u32>> {
    greedy_continuations(engine, &prompts(), 12, eos, &Unobserved).unwrap().unwrap()
}

/// Without a KV cache, one token after another.
fn by_hand(engine: &Engine<ToySource>, prompt: &[u32], tokens: usize) -> Vec<u32> {
    let mut ids = prompt.to_vec();
    for _ in 0..tokens {
        let logits = engine.next_logits(&[(&ids, &Cache::default())]).unwrap().remove(0);
        let best = (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap();
        ids.push(best as u32);
    }
    ids.split_off(prompt.len())
}

#[test]
fn the_most_likely_token_follows_each_time() {
    let engine = engine(3);
    let found = continued(&engine, &[]);
    for (prompt, found) in prompts().iter().zip(&found) {
        assert_eq!(*found, by_hand(&engine, prompt, 12), "{prompt:?}");
    }
    assert_eq!(same_beginnings(&found, &continued(&engine, &[]), 12), 4);
    let other = continued(&self::engine(4), &[]);
    assert!(same_beginnings(&found, &other, 12) < 4, "{found:?} {other:?}");
}

#[test]
fn a_continuation_ends_at_the_end_of_sequence() {
    let engine = engine(3);
    let whole = continued(&engine, &[]);
    let eos = whole[0][2];
    for (ended, whole) in continued(&engine, &[eos]).iter().zip(&whole) {
        let length = whole.iter().position(|id| *id == eos).map_or(12, |at| at + 1);
        assert_eq!(ended[..], whole[..length]);
    }
}

struct Cancelling;

impl Observer for Cancelling {
    fn step(&self) -> ControlFlow<()> {
        ControlFlow::Break(())
    }
}

#[test]
fn the_observer_can_cancel() {
    let found = greedy_continuations(&engine(3), &prompts(), 12, &[], &Cancelling).unwrap();
    assert!(found.is_none());
}
