//! A KV cache does not change logits: they are the same whether a sequence is run at once, token by
//! token, or in a batch with others.

use std::path::{Path, PathBuf};

use burn::tensor::DType;
use slicegpt_checkpoint::Checkpoint;
use slicegpt_core::Unobserved;
use slicegpt_generate::Engine;
use slicegpt_models::{Cache, Model};
use slicegpt_testkit::{Tensors, device, fixtures, largest_difference};

fn cases() -> Vec<PathBuf> {
    let families = std::fs::read_dir(fixtures().join("families")).unwrap();
    let cases: Vec<PathBuf> = families
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("expected.safetensors").is_file())
        // Their rotary frequencies depend on the length of the sequence: no cache can be exact.
        .filter(|path| !["llama-dynamic", "phi3-longrope"].iter().any(|name| path.ends_with(name)))
        .collect();
    assert!(cases.len() >= 19, "{} families", cases.len());
    cases
}

fn engine(case: &Path) -> Engine<Checkpoint> {
    let (config, _) = Checkpoint::describe(case).unwrap();
    let spec = slicegpt_models::parse(&config).unwrap();
    let model = Model::new(spec, Checkpoint::open(case).unwrap(), device());
    Engine::load(model, DType::F32, &Unobserved).unwrap().expect("loading was not cancelled")
}

/// Two token sequences of the fixture.
fn tokens(case: &Path) -> [Vec<u32>; 2] {
    let expected = Tensors::read(&case.join("expected.safetensors"));
    let (shape, values) = expected.get("input_ids").unwrap();
    assert!(shape[0] >= 2, "{}: {shape:?}", case.display());
    let row = |index: usize| &values[index * shape[1]..(index + 1) * shape[1]];
    [0, 1].map(|index| row(index).iter().map(|id| *id as u32).collect())
}

/// The logits after every token of `ids`, from one forward pass.
fn at_once(engine: &Engine<Checkpoint>, ids: &[u32]) -> Vec<Vec<f32>> {
    let mut rows = Vec::new();
    engine
        .logits_of_each(ids, &Cache::with_capacity(ids.len()), |row| rows.push(row.to_vec()))
        .unwrap();
    rows
}

fn assert_close(case: &Path, what: &str, found: &[f32], want: &[f32]) {
    let wide = |row: &[f32]| row.iter().map(|x| f64::from(*x)).collect::<Vec<f64>>();
    let (found, want) = (wide(found), wide(want));
    let scale = want.iter().fold(0.0f64, |most, x| most.max(x.abs()));
    let difference = largest_difference(&found, &want);
    assert!(difference <= 1e-4 * scale, "{}, {what}: {difference} of {scale}", case.display());
}

#[test]
fn decoding_in_a_batch_gives_the_logits_of_one_pass() {
    for case in cases() {
        let engine = engine(&case);
        let [long, short] = tokens(&case);
        // Different lengths, so that the sequences of the batch are at different positions.
        let short = &short[..short.len() / 2];
        let want = [at_once(&engine, &long), at_once(&engine, short)];
        let caches = [Cache::with_capacity(long.len()), Cache::with_capacity(short.len())];
        // A prefill of both, then one token of each at a time, then the rest of the longer one.
        let mut cached = [3, 1];
        let first = [(&long[..3], &caches[0]), (&short[..1], &caches[1])];
        let mut logits = engine.next_logits(&first).unwrap();
        loop {
            for (which, row) in logits.iter().enumerate() {
                let position = cached[which] - 1;
                let what = format!("sequence {which}, token {position}");
                assert_close(&case, &what, row, &want[which][position]);
            }
            let mut next = vec![(&long[cached[0]..(cached[0] + 1).min(long.len())], &caches[0])];
            if cached[1] < short.len() {
                next.push((&short[cached[1]..cached[1] + 1], &caches[1]));
            }
            if next[0].0.is_empty() {
                break;
            }
            logits = engine.next_logits(&next).unwrap();
            cached[0] += 1;
            cached[1] += next.len() - 1;
        }
        assert_eq!(cached, [long.len(), short.len()]);
        assert_eq!(caches[0].seen(), long.len());
    }
}

#[test]
fn forked_and_truncated_caches_continue_correctly() {
    for name in ["llama2", "opt", "phi", "phi3-window"] {
        let case = fixtures().join("families").join(name);
        let engine = engine(&case);
        let [one, other] = tokens(&case);
        let shared = one.len() / 2;
        let cache = Cache::with_capacity(one.len());
        engine.next_logits(&[(&one[..shared], &cache)]).unwrap();
        let fork = cache.fork();
        let end = engine.next_logits(&[(&one[shared..], &cache)]).unwrap();
        let end = end.last().unwrap();
        assert_close(&case, "the original", end, at_once(&engine, &one).last().unwrap());
        let mixed = [&one[..shared], &other[..other.len() - shared]].concat();
        let want = at_once(&engine, &mixed);
        let found = engine.next_logits(&[(&mixed[shared..], &fork)]).unwrap();
        assert_close(&case, "the fork", &found[0], want.last().unwrap());
        if name != "phi3-window" {
            cache.truncate(shared);
            let found = engine.next_logits(&[(&mixed[shared..], &cache)]).unwrap();
            assert_close(&case, "the truncated cache", &found[0], want.last().unwrap());
        }
    }
}
