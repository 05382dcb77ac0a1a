//! [`score`]: the likelihood of every continuation of every prompt, with shared prefixes run once.

use std::ops::Range;

use slicegpt_core::{Observer, TensorSource};
use slicegpt_generate::{Candidate, Engine, EngineError, ScoringInput};
use slicegpt_models::Cache;

use crate::EncodedPrompt;

/// Minimum length of a shared prefix, in tokens. Shorter ones are run again for each prompt.
const MIN_SHARED: usize = 8;

/// The likelihood of a continuation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Likelihood {
    /// The sum of the natural logarithms of the probabilities of its tokens.
    pub logprob: f64,
    /// Whether greedy decoding would produce it: each of its tokens is the most likely one.
    pub is_greedy: bool,
}

/// The likelihoods of the continuations of each prompt, in their order. Every prompt is a step for
/// the observer; `None` if it cancels.
///
/// Prompts are sorted, so that those with a common prefix are neighbours, and run in batches of
/// `batch_size`. The prefix that a whole batch shares is run once, and its KV cache is kept for the
/// next batch; the prefix that neighbours share beyond that, such as the question of several
/// answers, is run once per group.
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
    prompts: &[EncodedPrompt],
    batch_size: usize,
    observer: &dyn Observer,
) -> Result<Option<Vec<Vec<Likelihood>>>, EngineError<S::Error>>
where
    S::Error: std::error::Error + 'static,
{
    let mut order: Vec<usize> = (0..prompts.len()).collect();
    order.sort_by(|a, b| prompts[*a].input.cmp(&prompts[*b].input));
    let mut found = vec![Vec::new(); prompts.len()];
    let mut trunk = Trunk::default();
    for indices in order.chunks(batch_size) {
        let batch: Vec<&EncodedPrompt> = indices.iter().map(|index| &prompts[*index]).collect();
        let likelihoods = if engine.is_chunkable() {
            score_shared(engine, &batch, &mut trunk)?
        } else {
            let whole = batch.iter().map(|prompt| Leaf::new(prompt, 0, Cache::default()));
            score_leaves(engine, &whole.collect::<Vec<_>>())?
        };
        indices.iter().zip(likelihoods).for_each(|(index, all)| found[*index] = all);
        if batch.iter().any(|_| observer.step().is_break()) {
            return Ok(None);
        }
    }
    Ok(Some(found))
}

/// The prefix that the last batch shared, with its KV cache.
#[derive(Default)]
struct Trunk {
    ids: Vec<u32>,
    cache: Cache,
}

/// Scores a batch of sorted prompts, running each shared prefix once.
fn score_shared<S: TensorSource>(
    engine: &Engine<S>,
    batch: &[&EncodedPrompt],
    trunk: &mut Trunk,
) -> Result<Vec<Vec<Likelihood>>, EngineError<S::Error>>
where
    S::Error: std::error::Error + 'static,
{
    let (first, last) = (batch[0], batch[batch.len() - 1]);
    // They are sorted: a prefix of the first and the last is a prefix of all.
    let shortest = batch.iter().map(|prompt| context_tokens(prompt)).min().unwrap_or(0);
    let common = common_prefix(&first.input, &last.input).min(shortest);
    let common = if batch.len() > 1 && common >= MIN_SHARED { common } else { 0 };
    let kept = common_prefix(&trunk.ids, &first.input[..common]);
    trunk.cache.truncate(kept);
    trunk.ids.truncate(kept);
    if kept < common {
        let ids = &first.input[kept..common];
        trunk.ids.extend(ids);
        engine.score(&[ScoringInput { ids, cache: &trunk.cache, candidates: &[] }])?;
    }

    let groups = groups(batch, common);
    let longest = batch.iter().map(|prompt| prompt.input.len()).max().unwrap_or(0);
    let cache = || match common {
        0 => Cache::with_capacity(longest),
        _ => trunk.cache.fork(),
    };
    let branches: Vec<(Cache, usize, Range<usize>)> =
        groups.into_iter().map(|(prefix, members)| (cache(), prefix, members)).collect();
    let stems = branches.iter().filter(|(_, prefix, _)| *prefix > common);
    let stems: Vec<ScoringInput<'_>> = stems
        .map(|(cache, prefix, members)| {
            let ids = &batch[members.start].input[common..*prefix];
            ScoringInput { ids, cache, candidates: &[] }
        })
        .collect();
    engine.score(&stems)?;
    let all = branches.iter().flat_map(|(cache, prefix, members)| {
        members.clone().map(|i| Leaf::new(batch[i], *prefix, cache.fork()))
    });
    score_leaves(engine, &all.collect::<Vec<_>>())
}

/// The part of a prompt after its shared prefix.
struct Leaf<'a> {
    prompt: &'a EncodedPrompt,
    /// The length of the prefix, in tokens.
    cached: usize,
    cache: Cache,
    candidates: Vec<Candidate>,
}

impl<'a> Leaf<'a> {
    /// The rest of `prompt`, whose first `cached` tokens are in `cache`.
    fn new(prompt: &'a EncodedPrompt, cached: usize, cache: Cache) -> Self {
        let end = prompt.input.len() - cached;
        let candidates = prompt.continuations.iter().flat_map(|(_, tokens)| {
            let candidate = |(i, token): (usize, &u32)| Candidate {
                after: end - tokens.len() + i,
                token: *token,
            };
            tokens.iter().enumerate().map(candidate)
        });
        Self { prompt, cached, cache, candidates: candidates.collect() }
    }
}

/// Runs leaves in one batch, and sums the logprobs of each continuation.
fn score_leaves<S: TensorSource>(
    engine: &Engine<S>,
    leaves: &[Leaf<'_>],
) -> Result<Vec<Vec<Likelihood>>, EngineError<S::Error>>
where
    S::Error: std::error::Error + 'static,
{
    let inputs = leaves.iter().map(|leaf| ScoringInput {
        ids: &leaf.prompt.input[leaf.cached..],
        cache: &leaf.cache,
        candidates: &leaf.candidates,
    });
    let tokens = engine.score(&inputs.collect::<Vec<_>>())?;
    let sums = leaves.iter().zip(tokens).map(|(leaf, tokens)| {
        let mut rest = &tokens[..];
        let continuations = leaf.prompt.continuations.iter().map(|(_, continuation)| {
            let (own, remaining) = rest.split_at(continuation.len());
            rest = remaining;
            Likelihood {
                logprob: own.iter().map(|token| f64::from(token.logprob)).sum(),
                is_greedy: own.iter().all(|token| token.is_greedy),
            }
        });
        continuations.collect()
    });
    Ok(sums.collect())
}

/// Groups of neighbours whose common prefix is longer than the `common` tokens that all share: the
/// length of the prefix, and the members.
fn groups(batch: &[&EncodedPrompt], common: usize) -> Vec<(usize, Range<usize>)> {
    let mut groups: Vec<(usize, Range<usize>)> = Vec::new();
    for (i, prompt) in batch.iter().enumerate() {
        let own = context_tokens(prompt);
        let joined = groups.last().and_then(|(prefix, members)| {
            let shared = common_prefix(&batch[i - 1].input, &prompt.input).min(own).min(*prefix);
            // Joining must not shorten the group's prefix by more than half.
            let kept = (shared - common) * 2 >= prefix - common && shared >= common + MIN_SHARED;
            (kept && !members.is_empty()).then_some(shared)
        });
        match (joined, groups.last_mut()) {
            (Some(shared), Some((prefix, members))) => {
                *prefix = shared;
                members.end = i + 1;
            }
            _ => groups.push((own, i..i + 1)),
        }
    }
    // A group of one shares only what all share.
    let prefix = |prefix, members: &Range<usize>| if members.len() == 1 { common } else { prefix };
    groups.into_iter().map(|(length, members)| (prefix(length, &members), members)).collect()
}

/// The number of input tokens after which nothing is scored.
fn context_tokens(prompt: &EncodedPrompt) -> usize {
    let scored = prompt.continuations.iter().map(|(_, tokens)| tokens.len()).max();
    prompt.input.len() - scored.unwrap_or(0)
}

/// The length of the common prefix of two token lists.
fn common_prefix(one: &[u32], other: &[u32]) -> usize {
    one.iter().zip(other).take_while(|(a, b)| a == b).count()
}
