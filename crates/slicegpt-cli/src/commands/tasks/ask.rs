//! Tasks to requests, and requests to answers.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use slicegpt_checkpoint::Checkpoint;
use slicegpt_generate::Engine;
use slicegpt_tasks::{
    Answers, Encoder, Group, Item, Likelihood, Part, Prompt, SEED, Scores, Sequence, Task,
    TaskError, documents, groups, parts, prompts, score, scores,
};

use super::args::{Args, Limit};
use crate::services::device::Target;
use crate::services::generation::engine_error;
use crate::show::progress::{Interrupted, Progress};

/// A document that is asked.
pub struct Question {
    /// Its index among the documents of its part.
    pub document: usize,
    pub item: Item,
    pub prompt: Prompt,
    pub truncated: bool,
    pub answers: Answers,
}

/// Questions that are scored together.
pub struct Asked {
    /// Name in lm-evaluation-harness.
    pub name: String,
    /// Number of documents before some were left out.
    pub original: usize,
    /// Number of documents left out, because an answer exceeds the context.
    pub skipped: usize,
    pub questions: Vec<Question>,
}

/// A task with its questions.
pub struct OfTask {
    pub task: &'static Task,
    pub parts: Vec<Asked>,
    pub groups: Vec<Group>,
    /// The files of documents and of examples.
    pub files: (PathBuf, Option<PathBuf>),
    sequences: Vec<Sequence>,
    /// Part and question of each sequence.
    places: Vec<(usize, usize)>,
}

impl OfTask {
    /// Number of documents asked.
    pub fn documents(&self) -> usize {
        self.parts.iter().map(|part| part.questions.len()).sum()
    }

    /// Whether the task has subjects and its documents name none.
    pub fn lacks_subjects(&self) -> bool {
        self.task.parted.is_some() && self.groups.is_empty()
    }

    /// Number of documents left out, because an answer exceeds the context.
    pub fn skipped(&self) -> usize {
        self.parts.iter().map(|part| part.skipped).sum()
    }

    /// Number of documents that exceed the context.
    pub fn truncated(&self) -> usize {
        self.parts.iter().map(Asked::truncated).sum()
    }
}

impl Asked {
    /// Number of documents that exceed the context.
    pub fn truncated(&self) -> usize {
        self.questions.iter().filter(|question| question.truncated).count()
    }

    /// The metrics of the answers.
    pub fn scores(&self, task: &Task) -> Scores {
        let answered: Vec<(&Item, &Answers)> =
            self.questions.iter().map(|question| (&question.item, &question.answers)).collect();
        scores(task.metrics, &answered)
    }
}

/// The requests of a task.
pub fn questions(task: &'static Task, args: &Args, encoder: &Encoder) -> Result<OfTask> {
    let found = documents(&args.data, task, args.num_fewshot)?;
    let files = (found.file.clone(), found.examples_file.clone());
    let examples = files.1.clone().unwrap_or_default();
    let found = parts(task, found)?;
    let groups = groups(task, &found);
    let mut of_task = OfTask {
        task,
        parts: Vec::new(),
        groups,
        files,
        sequences: Vec::new(),
        places: Vec::new(),
    };
    for mut part in found {
        let original = part.scored.len();
        part.scored.truncate(Limit::of(args.limit, original));
        let asked = prompts(task, &part, args.num_fewshot, SEED, &examples)?;
        of_task.add(&part, original, asked, encoder, args.skip_too_long)?;
    }
    Ok(of_task)
}

impl OfTask {
    fn add(
        &mut self,
        part: &Part,
        original: usize,
        asked: Vec<(Item, Prompt)>,
        encoder: &Encoder,
        skip_too_long: bool,
    ) -> Result<()> {
        let mut questions = Vec::with_capacity(asked.len());
        let mut skipped = 0;
        for (document, (item, prompt)) in asked.into_iter().enumerate() {
            let sequences = match encoder.encode(&prompt, part.scored[document].place()) {
                Err(TaskError::TooLong { .. }) if skip_too_long => {
                    skipped += 1;
                    continue;
                }
                sequences => sequences?,
            };
            let truncated = sequences.iter().any(|sequence| sequence.truncated > 0);
            let place = (self.parts.len(), questions.len());
            self.places.extend(sequences.iter().map(|_| place));
            self.sequences.extend(sequences);
            let answers = Answers(vec![Likelihood { log: 0.0, greedy: false }; item.answers()]);
            questions.push(Question { document, item, prompt, truncated, answers });
        }
        if questions.is_empty() {
            bail!("{}: all {skipped} documents have answers longer than the model sees", part.name);
        }
        self.parts.push(Asked { name: part.name.clone(), original, skipped, questions });
        Ok(())
    }
}

/// Asks a model.
pub fn answer(
    mut of_task: OfTask,
    engine: &Engine<Checkpoint>,
    target: &Target,
    model: &Path,
) -> Result<OfTask> {
    let sequences = std::mem::take(&mut of_task.sequences);
    let tokens: usize = sequences.iter().map(|sequence| sequence.input.len()).sum();
    let mean = (tokens / sequences.len().max(1)).max(1);
    let batch_size = target.batch_size(engine.spec(), mean);
    let progress = Progress::start(of_task.task.name, sequences.len());
    target.doing(format!("asking {}", of_task.task.name));
    let found = target.run(|| {
        let mut tick = |count| progress.advance(count);
        let found = score(engine, &sequences, batch_size, &mut tick);
        found.map_err(|error| engine_error(error, model))
    });
    progress.finish();
    let found = found?.ok_or(Interrupted)?;
    for ((sequence, likelihoods), (part, question)) in
        sequences.iter().zip(found).zip(&of_task.places)
    {
        let answers = &mut of_task.parts[*part].questions[*question].answers;
        for ((answer, _), likelihood) in sequence.continuations.iter().zip(likelihoods) {
            answers.0[*answer] = likelihood;
        }
    }
    Ok(of_task)
}
