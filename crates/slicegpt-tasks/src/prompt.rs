//! [`prompts`]: what a model is asked for each document, with examples before it.

use std::path::Path;

use crate::random::Random;
use crate::{Document, Examples, Item, Part, Prompt, Result, Task, TaskError};

/// What is asked for each document of `part`, with `shots` examples before it.
///
/// Examples are drawn as the harness draws them with `seed`, document after document. `file` is where they
/// come from, for errors.
///
/// # Errors
///
/// If a document is none of the task, or there are not enough examples.
pub fn prompts(
    task: &Task,
    part: &Part,
    shots: usize,
    seed: u32,
    file: &Path,
) -> Result<Vec<(Item, Prompt)>> {
    let items = part.scored.iter().map(task.item).collect::<Result<Vec<_>>>()?;
    if shots == 0 {
        let prompt = |item: Item| {
            let prompt = item.prompt(&part.description);
            (item, prompt)
        };
        return Ok(items.into_iter().map(prompt).collect());
    }
    // One more where the document itself may have been drawn.
    let spare = usize::from(task.examples == Examples::DrawnFromOthers);
    let (have, need) = (part.examples.len(), shots + spare);
    if have < need {
        let (path, task) = (file.into(), part.name.clone());
        return Err(TaskError::FewExamples { path, task, have, need });
    }
    let solved = |document: &Document| (task.item)(document).map(|item| item.solved());
    let solved = part.examples.iter().map(solved).collect::<Result<Vec<_>>>()?;
    let mut random = Random::new(seed);
    let mut prompts = Vec::with_capacity(items.len());
    for (document, item) in part.scored.iter().zip(items) {
        let chosen = choose(task.examples, document, &part.examples, shots, &mut random);
        let chosen = chosen.ok_or_else(|| TaskError::FewExamples {
            path: file.into(),
            task: part.name.clone(),
            have: have - 1,
            need: shots,
        })?;
        let mut before = part.description.clone();
        chosen.iter().for_each(|index| before.push_str(&solved[*index]));
        let prompt = item.prompt(&before);
        prompts.push((item, prompt));
    }
    Ok(prompts)
}

/// Which examples stand before a document; `None` if too few are others than it.
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
                // The document stands there more than once.
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
