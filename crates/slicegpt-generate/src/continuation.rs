//! [`greedy_continuations`] of prompts, and how many of two models begin alike.

use slicegpt_core::{Observer, TensorSource};
use slicegpt_models::Cache;

use crate::sampling::argmax;
use crate::{Engine, EngineError};

/// Continues each of `prompts` by `tokens` tokens, the most likely one each time, all prompts in
/// one batch. A continuation ends early after a token of `eos`, which is its last one. Every token
/// of the batch is a step for the observer; `None` if it cancels.
///
/// # Errors
///
/// If the embedding cannot be read, or logits are not finite.
///
/// # Panics
///
/// If a prompt is empty.
pub fn greedy_continuations<S: TensorSource>(
    engine: &Engine<S>,
    prompts: &[Vec<u32>],
    tokens: usize,
    eos: &[u32],
    observer: &dyn Observer,
) -> Result<Option<Vec<Vec<u32>>>, EngineError<S::Error>>
where
    S::Error: std::error::Error + 'static,
{
    let room = |prompt: &Vec<u32>| Cache::with_capacity(prompt.len() + tokens);
    let caches: Vec<Cache> = prompts.iter().map(room).collect();
    let mut continuations = vec![Vec::with_capacity(tokens); prompts.len()];
    for step in 0..tokens {
        let ended =
            |index: &usize| continuations[*index].last().is_some_and(|id: &u32| eos.contains(id));
        let running: Vec<usize> = (0..prompts.len()).filter(|index| !ended(index)).collect();
        if running.is_empty() {
            break;
        }
        let next = |index: &usize| match step {
            0 => (prompts[*index].as_slice(), &caches[*index]),
            _ => (&continuations[*index][step - 1..], &caches[*index]),
        };
        let logits = engine.next_logits(&running.iter().map(next).collect::<Vec<_>>())?;
        for (index, logits) in running.into_iter().zip(logits) {
            continuations[index].push(argmax(&logits));
        }
        if observer.step().is_break() {
            return Ok(None);
        }
    }
    Ok(Some(continuations))
}

/// The number of continuations whose first `tokens` tokens are the same in both lists, which belong
/// to the same prompts. A continuation that ends before that must end alike in both.
pub fn same_beginnings(first: &[Vec<u32>], second: &[Vec<u32>], tokens: usize) -> usize {
    let same = |(a, b): &(&Vec<u32>, &Vec<u32>)| a.iter().take(tokens).eq(b.iter().take(tokens));
    first.iter().zip(second).filter(same).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings_are_compared_up_to_a_length() {
        let first = [vec![1, 2, 3], vec![1, 2, 3], vec![4, 9], vec![4, 9]];
        let second = [vec![1, 2, 3], vec![1, 2, 4], vec![4, 9], vec![4, 9, 5]];
        let counts = [0, 1, 2, 3, 8].map(|tokens| same_beginnings(&first, &second, tokens));
        assert_eq!(counts, [4, 4, 4, 2, 2]);
    }
}
