//! From tasks to prompts, and from prompts to the likelihoods of answers.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use slicegpt_checkpoint::Checkpoint;
use slicegpt_generate::Engine;
use slicegpt_tasks::{
    AnswerLikelihoods, EncodedPrompt, Encoder, Group, Item, Likelihood, Prompt, SEED, Scores,
    Subtask, Task, TaskError, documents, groups, prompts, score, scores, subtasks,
};

use super::args::{Args, Limit};
use crate::services::device::Target;
use crate::services::generation::engine_error;
use crate::show::progress::{Interrupted, Progress};

/// A document with its prompt, and later with the likelihoods of its answers.
pub struct Question {
    /// Index of the document within its subtask.
    pub document: usize,
    pub item: Item,
    pub prompt: Prompt,
    pub truncated: bool,
    pub likelihoods: AnswerLikelihoods,
}

/// The questions of a subtask.
pub struct SubtaskRun {
    /// The name in the harness.
    pub name: String,
    /// The number of documents before any limit.
    pub original: usize,
    /// The number of documents left out, because an answer is longer than the context.
    pub skipped: usize,
    pub questions: Vec<Question>,
}

/// A task with its questions.
pub struct TaskRun {
    pub task: &'static Task,
    pub subtasks: Vec<SubtaskRun>,
    pub groups: Vec<Group>,
    /// The file of the scored documents, and the file of the examples.
    pub files: (PathBuf, Option<PathBuf>),
    prompts: Vec<EncodedPrompt>,
    /// For each prompt the indices of its subtask and question.
    places: Vec<(usize, usize)>,
}

impl TaskRun {
    /// The number of scored documents.
    pub fn documents(&self) -> usize {
        self.subtasks.iter().map(|subtask| subtask.questions.len()).sum()
    }

    /// Whether it is a task with subjects whose documents name none.
    pub fn lacks_subjects(&self) -> bool {
        self.task.subjects.is_some() && self.groups.is_empty()
    }

    /// The number of documents left out, because an answer is longer than the context.
    pub fn skipped(&self) -> usize {
        self.subtasks.iter().map(|subtask| subtask.skipped).sum()
    }

    /// The number of documents whose beginning was cut off to fit into the context.
    pub fn truncated(&self) -> usize {
        self.subtasks.iter().map(SubtaskRun::truncated).sum()
    }
}

impl SubtaskRun {
    /// The number of documents whose beginning was cut off to fit into the context.
    pub fn truncated(&self) -> usize {
        self.questions.iter().filter(|question| question.truncated).count()
    }

    /// The metrics of the answers.
    pub fn scores(&self, task: &Task) -> Scores {
        let answered =
            self.questions.iter().map(|question| (&question.item, &question.likelihoods));
        scores(task.metrics, &answered.collect::<Vec<_>>())
    }
}

/// Reads the documents of a task, and makes their prompts.
pub fn questions(task: &'static Task, args: &Args, encoder: &Encoder) -> Result<TaskRun> {
    let found = documents(&args.data, task, args.num_fewshot)?;
    let files = (found.file.clone(), found.examples_file.clone());
    let examples = files.1.clone().unwrap_or_default();
    let found = subtasks(task, found)?;
    let groups = groups(task, &found);
    let mut run = TaskRun {
        task,
        subtasks: Vec::new(),
        groups,
        files,
        prompts: Vec::new(),
        places: Vec::new(),
    };
    for mut subtask in found {
        let original = subtask.scored.len();
        subtask.scored.truncate(Limit::of(args.limit, original));
        let items = prompts(task, &subtask, args.num_fewshot, SEED, &examples)?;
        run.add(&subtask, original, items, encoder, args.skip_too_long)?;
    }
    Ok(run)
}

impl TaskRun {
    fn add(
        &mut self,
        subtask: &Subtask,
        original: usize,
        items: Vec<(Item, Prompt)>,
        encoder: &Encoder,
        skip_too_long: bool,
    ) -> Result<()> {
        let mut questions = Vec::with_capacity(items.len());
        let mut skipped = 0;
        for (document, (item, prompt)) in items.into_iter().enumerate() {
            let encoded = match encoder.encode(&prompt, subtask.scored[document].place()) {
                Err(TaskError::TooLong { .. }) if skip_too_long => {
                    skipped += 1;
                    continue;
                }
                encoded => encoded?,
            };
            let truncated = encoded.iter().any(|prompt| prompt.truncated > 0);
            let place = (self.subtasks.len(), questions.len());
            self.places.extend(encoded.iter().map(|_| place));
            self.prompts.extend(encoded);
            let unscored = Likelihood { logprob: 0.0, is_greedy: false };
            let likelihoods = AnswerLikelihoods(vec![unscored; item.answers()]);
            questions.push(Question { document, item, prompt, truncated, likelihoods });
        }
        if questions.is_empty() {
            bail!(
                "{}: all {skipped} documents have answers longer than the model sees",
                subtask.name
            );
        }
        self.subtasks.push(SubtaskRun { name: subtask.name.clone(), original, skipped, questions });
        Ok(())
    }
}

/// Runs the model on the prompts of a task.
pub fn answer(
    mut run: TaskRun,
    engine: &Engine<Checkpoint>,
    target: &Target,
    model: &Path,
) -> Result<TaskRun> {
    let prompts = std::mem::take(&mut run.prompts);
    let tokens: usize = prompts.iter().map(|prompt| prompt.input.len()).sum();
    let mean = (tokens / prompts.len().max(1)).max(1);
    let batch_size = target.batch_size(engine.spec(), mean);
    let progress = Progress::start(run.task.name, prompts.len());
    target.doing(format!("asking {}", run.task.name));
    let found = target.run(|| {
        let found = score(engine, &prompts, batch_size, &progress);
        found.map_err(|error| engine_error(error, model))
    });
    progress.finish();
    let found = found?.ok_or(Interrupted)?;
    for ((prompt, likelihoods), (subtask, question)) in prompts.iter().zip(found).zip(&run.places) {
        let question = &mut run.subtasks[*subtask].questions[*question];
        for ((answer, _), likelihood) in prompt.continuations.iter().zip(likelihoods) {
            question.likelihoods.0[*answer] = likelihood;
        }
    }
    Ok(run)
}
