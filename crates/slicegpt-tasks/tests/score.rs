//! Likelihoods do not depend on batching or on shared prefixes: for every family they equal those
//! of one forward pass over each prompt alone.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::tensor::DType;
use slicegpt_checkpoint::Checkpoint;
use slicegpt_core::{Observer, Unobserved};
use slicegpt_generate::{Engine, log_probabilities};
use slicegpt_models::{Cache, Model};
use slicegpt_tasks::{EncodedPrompt, Likelihood, score};
use slicegpt_testkit::{device, fixtures};

/// Counts steps and cancels after a number of them.
struct AtMost {
    limit: usize,
    done: AtomicUsize,
}

impl AtMost {
    fn new(limit: usize) -> Self {
        Self { limit, done: AtomicUsize::new(0) }
    }

    fn done(&self) -> usize {
        self.done.load(Ordering::Relaxed)
    }
}

impl Observer for AtMost {
    fn step(&self) -> ControlFlow<()> {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if done < self.limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}

fn families() -> Vec<PathBuf> {
    let families = std::fs::read_dir(fixtures().join("families")).unwrap();
    let families: Vec<PathBuf> = families
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("expected.safetensors").is_file())
        .collect();
    assert!(families.len() >= 20, "{} families", families.len());
    families
}

fn engine(case: &Path) -> Engine<Checkpoint> {
    let (config, _) = Checkpoint::describe(case).unwrap();
    let spec = slicegpt_models::parse(&config).unwrap();
    let model = Model::new(spec, Checkpoint::open(case).unwrap(), device());
    Engine::load(model, DType::F32, &Unobserved).unwrap().expect("loading was not cancelled")
}

/// Prompts with long, short and no common prefixes; answers of one and of several tokens, some of
/// them with the same input.
fn prompts(vocab_size: usize, context_length: usize) -> Vec<EncodedPrompt> {
    let id = |i: usize| (i * 37 % (vocab_size - 4) + 3) as u32;
    let max = context_length.min(60);
    let shots: Vec<u32> = (0..max / 3).map(id).collect();
    let mut prompts = Vec::new();
    for question in 0..5 {
        let length = 3 + 2 * question;
        let context: Vec<u32> = (0..length).map(|i| id(i * (question + 2) + 11)).collect();
        for shots in [&shots[..], &[]] {
            for answer in 0..3 {
                let continuation: Vec<u32> =
                    (0..1 + answer * 2).map(|i| id(i * 5 + answer * (question % 3) + 1)).collect();
                let mut input = [shots, &context, &continuation].concat();
                input.pop();
                prompts.push(EncodedPrompt {
                    input,
                    continuations: vec![(0, continuation)],
                    truncated: 0,
                });
            }
        }
    }
    let letters = (0..4).map(|i| (i, vec![id(i + 50)])).collect();
    prompts.push(EncodedPrompt { input: shots, continuations: letters, truncated: 0 });
    prompts
}

/// The likelihoods from the logits of one forward pass over the prompt alone.
fn alone(engine: &Engine<Checkpoint>, prompt: &EncodedPrompt) -> Vec<Likelihood> {
    let mut rows = Vec::new();
    let cache = Cache::default();
    engine.logits_of_each(&prompt.input, &cache, |row| rows.push(row.to_vec())).unwrap();
    let continuations = prompt.continuations.iter().map(|(_, tokens)| {
        let rows = &rows[rows.len() - tokens.len()..];
        let mut found = Likelihood { logprob: 0.0, is_greedy: true };
        for (row, token) in rows.iter().zip(tokens) {
            found.logprob += f64::from(log_probabilities(row)[*token as usize]);
            let token = row[*token as usize];
            found.is_greedy &= row.iter().all(|x| *x <= token);
        }
        found
    });
    continuations.collect()
}

#[test]
fn sharing_prefixes_changes_no_likelihood() {
    let mut greedy = 0;
    for case in families() {
        let engine = engine(&case);
        let spec = engine.spec();
        let mut prompts = prompts(spec.vocab_size, spec.context_length);
        // A continuation that greedy decoding would produce.
        let last = prompts.last().unwrap().input.clone();
        let logits = engine.next_logits(&[(&last, &Cache::default())]).unwrap().remove(0);
        let best = (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap();
        prompts.last_mut().unwrap().continuations.push((4, vec![best as u32]));
        let want: Vec<Vec<Likelihood>> =
            prompts.iter().map(|prompt| alone(&engine, prompt)).collect();
        for batch_size in [1, 2, 7, 64] {
            let steps = AtMost::new(usize::MAX);
            let found = score(&engine, &prompts, batch_size, &steps).unwrap().unwrap();
            assert_eq!(steps.done(), prompts.len());
            for (index, (found, want)) in found.iter().zip(&want).enumerate() {
                assert_eq!(found.len(), want.len());
                for (found, want) in found.iter().zip(want) {
                    let case = case.display();
                    let what = format!("{case}, prompt {index}, batches of {batch_size}");
                    let allowed = 1e-4 * want.logprob.abs().max(1.0);
                    let difference = (found.logprob - want.logprob).abs();
                    assert!(difference <= allowed, "{what}: {found:?} {want:?}");
                    assert_eq!(found.is_greedy, want.is_greedy, "{what}");
                    greedy += usize::from(found.is_greedy);
                }
            }
        }
    }
    assert!(greedy >= 4 * 20, "{greedy} greedy continuations");
}

#[test]
fn scoring_can_be_cancelled() {
    let engine = engine(&fixtures().join("families/llama2"));
    let prompts = prompts(engine.spec().vocab_size, 64);
    let steps = AtMost::new(6);
    let found = score(&engine, &prompts, 4, &steps);
    assert!(found.unwrap().is_none());
    assert_eq!(steps.done(), 6);
}
