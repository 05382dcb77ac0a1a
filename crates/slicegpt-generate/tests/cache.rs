//! What a cache keeps changes nothing: the logits of a token are the same whether the tokens before it
//! are run with it, came one by one, or wait in a cache beside those of other sequences.

use std::path::{Path, PathBuf};

use burn::tensor::DType;
use slicegpt_checkpoint::Checkpoint;
use slicegpt_generate::Engine;
use slicegpt_models::{Cache, Model};
use slicegpt_testkit::{Tensors, device, fixtures, largest_difference};

fn cases() -> Vec<PathBuf> {
    let families = std::fs::read_dir(fixtures().join("families")).unwrap();
    let cases: Vec<PathBuf> = families
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("expected.safetensors").is_file())
        // Their rotary frequencies change with the length of the sequence: no cache can be exact.
        .filter(|path| !["llama-dynamic", "phi3-longrope"].iter().any(|name| path.ends_with(name)))
        .collect();
    assert!(cases.len() >= 19, "{} families", cases.len());
    cases
}

fn engine(case: &Path) -> Engine<Checkpoint> {
    let (config, _) = Checkpoint::describe(case).unwrap();
    let spec = slicegpt_models::parse(&config).unwrap();
    let model = Model::new(spec, Checkpoint::open(case).unwrap(), device());
    let mut go_on = || std::ops::ControlFlow::Continue(());
    Engine::load(model, DType::F32, &mut go_on).unwrap().expect("nobody broke")
}

/// Two sequences of the case.
fn tokens(case: &Path) -> [Vec<u32>; 2] {
    let expected = Tensors::read(&case.join("expected.safetensors"));
    let (shape, values) = expected.get("input_ids").unwrap();
    assert!(shape[0] >= 2, "{}: {shape:?}", case.display());
    let row = |index: usize| &values[index * shape[1]..(index + 1) * shape[1]];
    [0, 1].map(|index| row(index).iter().map(|id| *id as u32).collect())
}

/// The logits after every token of `ids`, run at once.
fn at_once(engine: &Engine<Checkpoint>, ids: &[u32]) -> Vec<Vec<f32>> {
    let mut rows = Vec::new();
    engine.each(ids, &Cache::with_capacity(ids.len()), |row| rows.push(row.to_vec())).unwrap();
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
fn tokens_one_by_one_in_a_batch_are_tokens_at_once() {
    for case in cases() {
        let engine = engine(&case);
        let [long, short] = tokens(&case);
        // Of different lengths, so that nothing hangs on both being at the same position.
        let short = &short[..short.len() / 2];
        let want = [at_once(&engine, &long), at_once(&engine, short)];
        let caches = [Cache::with_capacity(long.len()), Cache::with_capacity(short.len())];
        // The first tokens together, then one of each at a time, then those of the longer alone.
        let mut seen = [3, 1];
        let first = [(&long[..3], &caches[0]), (&short[..1], &caches[1])];
        let mut logits = engine.next(&first).unwrap();
        loop {
            for (which, row) in logits.iter().enumerate() {
                let position = seen[which] - 1;
                let what = format!("sequence {which}, token {position}");
                assert_close(&case, &what, row, &want[which][position]);
            }
            let mut next = vec![(&long[seen[0]..(seen[0] + 1).min(long.len())], &caches[0])];
            if seen[1] < short.len() {
                next.push((&short[seen[1]..seen[1] + 1], &caches[1]));
            }
            if next[0].0.is_empty() {
                break;
            }
            logits = engine.next(&next).unwrap();
            seen[0] += 1;
            seen[1] += next.len() - 1;
        }
        assert_eq!(seen, [long.len(), short.len()]);
        assert_eq!(caches[0].seen(), long.len());
    }
}

#[test]
fn a_fork_and_a_shortened_cache_go_on_as_if_nothing_else_had_been() {
    for name in ["llama2", "opt", "phi", "phi3-window"] {
        let case = fixtures().join("families").join(name);
        let engine = engine(&case);
        let [one, other] = tokens(&case);
        let shared = one.len() / 2;
        let cache = Cache::with_capacity(one.len());
        engine.next(&[(&one[..shared], &cache)]).unwrap();
        let fork = cache.fork();
        let end = engine.next(&[(&one[shared..], &cache)]).unwrap();
        let end = end.last().unwrap();
        assert_close(&case, "the first", end, at_once(&engine, &one).last().unwrap());
        let mixed = [&one[..shared], &other[..other.len() - shared]].concat();
        let want = at_once(&engine, &mixed);
        let found = engine.next(&[(&mixed[shared..], &fork)]).unwrap();
        assert_close(&case, "the fork", &found[0], want.last().unwrap());
        if name != "phi3-window" {
            cache.truncate(shared);
            let found = engine.next(&[(&mixed[shared..], &cache)]).unwrap();
            assert_close(&case, "the shortened", &found[0], want.last().unwrap());
        }
    }
}
