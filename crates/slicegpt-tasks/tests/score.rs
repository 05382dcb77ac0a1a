//! Likelihoods do not hang on what is run together and what is run once: they are those of a forward over
//! each sequence alone, of every family.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use burn::tensor::DType;
use slicegpt_checkpoint::Checkpoint;
use slicegpt_generate::{Engine, log_probabilities};
use slicegpt_models::{Cache, Model};
use slicegpt_tasks::{Likelihood, Sequence, score};
use slicegpt_testkit::{device, fixtures};

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
    let mut go_on = || ControlFlow::Continue(());
    Engine::load(model, DType::F32, &mut go_on).unwrap().expect("nobody broke")
}

/// Questions that have much in common, little, and nothing; answers of one token and of many, and some
/// whose inputs are the same.
fn sequences(vocab_size: usize, context_length: usize) -> Vec<Sequence> {
    let id = |i: usize| (i * 37 % (vocab_size - 4) + 3) as u32;
    let most = context_length.min(60);
    let shots: Vec<u32> = (0..most / 3).map(id).collect();
    let mut sequences = Vec::new();
    for question in 0..5 {
        let length = 3 + 2 * question;
        let context: Vec<u32> = (0..length).map(|i| id(i * (question + 2) + 11)).collect();
        for shots in [&shots[..], &[]] {
            for answer in 0..3 {
                let continuation: Vec<u32> =
                    (0..1 + answer * 2).map(|i| id(i * 5 + answer * (question % 3) + 1)).collect();
                let mut input = [shots, &context, &continuation].concat();
                input.pop();
                sequences.push(Sequence {
                    input,
                    continuations: vec![(0, continuation)],
                    truncated: 0,
                });
            }
        }
    }
    let letters = (0..4).map(|i| (i, vec![id(i + 50)])).collect();
    sequences.push(Sequence { input: shots, continuations: letters, truncated: 0 });
    sequences
}

/// By the logits of a forward over the whole sequence and nothing else.
fn alone(engine: &Engine<Checkpoint>, sequence: &Sequence) -> Vec<Likelihood> {
    let mut rows = Vec::new();
    let cache = Cache::default();
    engine.each(&sequence.input, &cache, |row| rows.push(row.to_vec())).unwrap();
    let continuations = sequence.continuations.iter().map(|(_, tokens)| {
        let rows = &rows[rows.len() - tokens.len()..];
        let mut found = Likelihood { log: 0.0, greedy: true };
        for (row, token) in rows.iter().zip(tokens) {
            found.log += f64::from(log_probabilities(row)[*token as usize]);
            let token = row[*token as usize];
            found.greedy &= row.iter().all(|x| *x <= token);
        }
        found
    });
    continuations.collect()
}

#[test]
fn what_is_shared_changes_nothing() {
    let mut greedy = 0;
    for case in families() {
        let engine = engine(&case);
        let spec = engine.spec();
        let mut sequences = sequences(spec.vocab_size, spec.context_length);
        // One that the model would write: the most likely token after some others.
        let last = sequences.last().unwrap().input.clone();
        let logits = engine.next(&[(&last, &Cache::default())]).unwrap().remove(0);
        let best = (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap();
        sequences.last_mut().unwrap().continuations.push((4, vec![best as u32]));
        let want: Vec<Vec<Likelihood>> =
            sequences.iter().map(|sequence| alone(&engine, sequence)).collect();
        for batch_size in [1, 2, 7, 64] {
            let mut ticked = 0;
            let found = score(&engine, &sequences, batch_size, &mut |count| {
                ticked += count;
                ControlFlow::Continue(())
            });
            let found = found.unwrap().unwrap();
            assert_eq!(ticked, sequences.len());
            for (index, (found, want)) in found.iter().zip(&want).enumerate() {
                assert_eq!(found.len(), want.len());
                for (found, want) in found.iter().zip(want) {
                    let case = case.display();
                    let what = format!("{case}, sequence {index}, batches of {batch_size}");
                    let allowed = 1e-4 * want.log.abs().max(1.0);
                    assert!((found.log - want.log).abs() <= allowed, "{what}: {found:?} {want:?}");
                    assert_eq!(found.greedy, want.greedy, "{what}");
                    greedy += usize::from(found.greedy);
                }
            }
        }
    }
    assert!(greedy >= 4 * 20, "{greedy} greedy continuations");
}

#[test]
fn scoring_may_be_broken_off() {
    let engine = engine(&fixtures().join("families/llama2"));
    let sequences = sequences(engine.spec().vocab_size, 64);
    let mut batches = 0;
    let found = score(&engine, &sequences, 4, &mut |_| {
        batches += 1;
        if batches == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(found.unwrap().is_none());
    assert_eq!(batches, 2);
}
