//! [`prompts`]: the prompt of each document, with few-shot examples before it.

use std::path::Path;

use crate::random::Random;
use crate::{Document, Examples, Item, Prompt, Result, Subtask, Task, TaskError};

/// The item and the prompt of each scored document of `subtask`, with `shots` examples before it.
///
/// Examples are chosen as the harness does with `seed`, one document after the other. `file` is
/// where they come from, for errors.
///
/// # Errors
///
/// If a document does not belong to the task, or there are not enough examples.
pub fn prompts(
    task: &Task,
    subtask: &Subtask,
    shots: usize,
    seed: u32,
    file: &Path,
) -> Result<Vec<(Item, Prompt)>> {
    let items = subtask.scored.iter().map(task.item).collect::<Result<Vec<_>>>()?;
    if shots == 0 {
        let prompt = |item: Item| {
            let prompt = item.prompt(&subtask.description);
            (item, prompt)
        };
        return Ok(items.into_iter().map(prompt).collect());
    }
    // One more if the document itself may be drawn.
    let spare = usize::from(task.examples == Examples::DrawnFromOthers);
    let (have, need) = (subtask.examples.len(), shots + spare);
    if have < need {
        let (path, task) = (file.into(), subtask.name.clone());
        return Err(TaskError::FewExamples { path, task, have, need });
    }
    let solved = |document: &Document| (task.item)(document).map(|item| item.solved());
    let solved = subtask.examples.iter().map(solved).collect::<Result<Vec<_>>>()?;
    let mut random = Random::new(seed);
    let mut prompts = Vec::with_capacity(items.len());
    for (document, item) in subtask.scored.iter().zip(items) {
        let chosen = choose(task.examples, document, &subtask.examples, shots, &mut random);
        let chosen = chosen.ok_or_else(|| TaskError::FewExamples {
            path: file.into(),
            task: subtask.name.clone(),
            have: have - 1,
            need: shots,
        })?;
        let mut before = subtask.description.clone();
        chosen.iter().for_each(|index| before.push_str(&solved[*index]));
        let prompt = item.prompt(&before);
        prompts.push((item, prompt));
    }
    Ok(prompts)
}

/// The indices of the examples for a document; `None` if too few differ from it.
fn choose(
    examples: Examples,
    document: &Document,
    pool: &[Document],
    shots: usize,
    random: &mut Random,
) -> Option<Vec<usize>> {
    match examples {
        Examples::First => Some((0..shots).collect()),
        Examples::Drawn | Examples::DrawnFromScored => Some(random.sample(pool.len(), shots)),
        Examples::DrawnFromOthers => {
            let mut drawn = random.sample(pool.len(), shots + 1);
            drawn.retain(|index| pool[*index] != *document);
            drawn.truncate(shots);
            if drawn.len() < shots {
                // The pool contains the document more than once.
                let others: Vec<usize> =
                    (0..pool.len()).filter(|index| pool[*index] != *document).collect();
                if others.len() < shots {
                    return None;
                }
                let again = random.sample(others.len(), shots);
                drawn = again.into_iter().map(|index| others[index]).collect();
            }
            Some(drawn)
        }
    }
}
