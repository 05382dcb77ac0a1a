//! [`score`]: how likely a model finds every continuation of every sequence.

use std::ops::{ControlFlow, Range};

use slicegpt_core::TensorSource;
use slicegpt_generate::{Candidate, Engine, EngineError, Scored};
use slicegpt_models::Cache;

use crate::Sequence;

/// Fewer tokens in common are run again for each sequence.
const WORTH_SHARING: usize = 8;

/// How likely a continuation is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Likelihood {
    /// The sum of the natural logarithms of the probabilities of its tokens.
    pub log: f64,
    /// Whether each of its tokens is the most likely one.
    pub greedy: bool,
}

/// The likelihoods of the continuations of each sequence, in their order. `None` if `tick`, called with the
/// number of sequences that were run, breaks.
///
/// Sequences are run `batch_size` at a time, those beside each other that begin alike. What they have in
/// common is run once: what all of a batch share is kept for the next, and what the answers of one question
/// share is run once for these.
///
/// # Errors
///
/// As [`Engine::score`].
///
/// # Panics
///
/// If `batch_size` is 0.
pub fn score<S: TensorSource>(
    engine: &Engine<S>,
    sequences: &[Sequence],
    batch_size: usize,
    tick: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> Result<Option<Vec<Vec<Likelihood>>>, EngineError<S::Error>>
where
    S::Error: std::error::Error + 'static,
{
    let mut order: Vec<usize> = (0..sequences.len()).collect();
    order.sort_by(|a, b| sequences[*a].input.cmp(&sequences[*b].input));
    let mut found = vec![Vec::new(); sequences.len()];
    let mut trunk = Trunk::default();
    for places in order.chunks(batch_size) {
        let batch: Vec<&Sequence> = places.iter().map(|place| &sequences[*place]).collect();
        let likelihoods = match engine.may_split() {
            true => shared(engine, &batch, &mut trunk)?,
            false => {
                let whole = batch.iter().map(|sequence| Leaf::new(sequence, 0, Cache::default()));
                leaves(engine, &whole.collect::<Vec<_>>())?
            }
        };
        places.iter().zip(likelihoods).for_each(|(place, all)| found[*place] = all);
        if tick(batch.len()).is_break() {
            return Ok(None);
        }
    }
    Ok(Some(found))
}

/// What the sequences of the last batch began with, in a cache.
#[derive(Default)]
struct Trunk {
    ids: Vec<u32>,
    cache: Cache,
}

/// Scores a batch, of which nothing is run twice that is worth sharing.
fn shared<S: TensorSource>(
    engine: &Engine<S>,
    batch: &[&Sequence],
    trunk: &mut Trunk,
) -> Result<Vec<Vec<Likelihood>>, EngineError<S::Error>>
where
    S::Error: std::error::Error + 'static,
{
    let (first, last) = (batch[0], batch[batch.len() - 1]);
    // They are sorted: what the first and the last have in common, all have.
    let least = batch.iter().map(|sequence| context(sequence)).min().unwrap_or(0);
    let common = in_common(&first.input, &last.input).min(least);
    let common = if batch.len() > 1 && common >= WORTH_SHARING { common } else { 0 };
    let kept = in_common(&trunk.ids, &first.input[..common]);
    trunk.cache.truncate(kept);
    trunk.ids.truncate(kept);
    if kept < common {
        let ids = &first.input[kept..common];
        trunk.ids.extend(ids);
        engine.score(&[Scored { ids, cache: &trunk.cache, candidates: &[] }])?;
    }

    let groups = groups(batch, common);
    let longest = batch.iter().map(|sequence| sequence.input.len()).max().unwrap_or(0);
    let cache = || match common {
        0 => Cache::with_capacity(longest),
        _ => trunk.cache.fork(),
    };
    let branches: Vec<(Cache, usize, Range<usize>)> =
        groups.into_iter().map(|(seen, members)| (cache(), seen, members)).collect();
    let stems = branches.iter().filter(|(_, seen, _)| *seen > common);
    let stems: Vec<Scored<'_>> = stems
        .map(|(cache, seen, members)| {
            let ids = &batch[members.start].input[common..*seen];
            Scored { ids, cache, candidates: &[] }
        })
        .collect();
    engine.score(&stems)?;
    let all = branches.iter().flat_map(|(cache, seen, members)| {
        members.clone().map(|i| Leaf::new(batch[i], *seen, cache.fork()))
    });
    leaves(engine, &all.collect::<Vec<_>>())
}

/// What is left of a sequence to be run.
struct Leaf<'a> {
    sequence: &'a Sequence,
    seen: usize,
    cache: Cache,
    candidates: Vec<Candidate>,
}

impl<'a> Leaf<'a> {
    /// Of which `cache` has seen the first `seen` tokens.
    fn new(sequence: &'a Sequence, seen: usize, cache: Cache) -> Self {
        let end = sequence.input.len() - seen;
        let candidates = sequence.continuations.iter().flat_map(|(_, tokens)| {
            let place = |(i, token): (usize, &u32)| Candidate {
                after: end - tokens.len() + i,
                token: *token,
            };
            tokens.iter().enumerate().map(place)
        });
        Self { sequence, seen, cache, candidates: candidates.collect() }
    }
}

/// Runs leaves, and sums what their continuations are made of.
fn leaves<S: TensorSource>(
    engine: &Engine<S>,
    leaves: &[Leaf<'_>],
) -> Result<Vec<Vec<Likelihood>>, EngineError<S::Error>>
where
    S::Error: std::error::Error + 'static,
{
    let scored = leaves.iter().map(|leaf| Scored {
        ids: &leaf.sequence.input[leaf.seen..],
        cache: &leaf.cache,
        candidates: &leaf.candidates,
    });
    let tokens = engine.score(&scored.collect::<Vec<_>>())?;
    let sums = leaves.iter().zip(tokens).map(|(leaf, tokens)| {
        let mut rest = &tokens[..];
        let continuations = leaf.sequence.continuations.iter().map(|(_, continuation)| {
            let (own, behind) = rest.split_at(continuation.len());
            rest = behind;
            Likelihood {
                log: own.iter().map(|token| f64::from(token.log)).sum(),
                greedy: own.iter().all(|token| token.greatest),
            }
        });
        continuations.collect()
    });
    Ok(sums.collect())
}

/// Neighbours that begin alike, beyond the `common` tokens all have: how many tokens they share, and which
/// they are.
fn groups(batch: &[&Sequence], common: usize) -> Vec<(usize, Range<usize>)> {
    let mut groups: Vec<(usize, Range<usize>)> = Vec::new();
    for (i, sequence) in batch.iter().enumerate() {
        let own = context(sequence);
        let joined = groups.last().and_then(|(seen, members)| {
            let shared = in_common(&batch[i - 1].input, &sequence.input).min(own).min(*seen);
            // What the others had in common already must not be given away for little.
            let kept = (shared - common) * 2 >= seen - common && shared >= common + WORTH_SHARING;
            (kept && !members.is_empty()).then_some(shared)
        });
        match (joined, groups.last_mut()) {
            (Some(shared), Some((seen, members))) => {
                *seen = shared;
                members.end = i + 1;
            }
            _ => groups.push((own, i..i + 1)),
        }
    }
    // What is alone shares nothing.
    let alone = |members: &Range<usize>| members.len() == 1;
    groups.into_iter().map(|(seen, m)| (if alone(&m) { common } else { seen }, m)).collect()
}

/// Tokens of a sequence that come before the one after which something is scored.
fn context(sequence: &Sequence) -> usize {
    let scored = sequence.continuations.iter().map(|(_, tokens)| tokens.len()).max();
    sequence.input.len() - scored.unwrap_or(0)
}

/// How many tokens two begin with alike.
fn in_common(one: &[u32], other: &[u32]) -> usize {
    one.iter().zip(other).take_while(|(a, b)| a == b).count()
}
