//! Following a training: progress, evaluations, time.

use std::time::Instant;

use anyhow::Result;
use serde_json::{Value, json};
use slicegpt_checkpoint::CheckpointError;
use slicegpt_core::{Observer, Unobserved};
use slicegpt_eval::{EvalError, perplexity};
use slicegpt_train::{Next, Settings, State, StepReport, Tuned, Watch};

use super::Args;
use super::data::Data;
use super::saved::{Progress, Saved};
use crate::services::device::{Batches, Target};
use crate::services::model::Opened;
use crate::show::progress::Progress as ProgressBar;

/// Why a training ends early.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// A weight or a row of the embedding cannot be read.
    #[error(transparent)]
    Model(#[from] CheckpointError),
    /// The state could not be written.
    #[error("{0:#}")]
    Unsaved(anyhow::Error),
    /// A model could not be evaluated.
    #[error(transparent)]
    Evaluation(#[from] EvalError<CheckpointError>),
}

/// Shows the progress, evaluates, and ends the training when its time is over.
pub struct Watcher<'a> {
    args: &'a Args,
    opened: &'a Opened,
    data: &'a Data,
    target: &'a Target,
    started: Instant,
    bar: ProgressBar,
    trained: usize,
    saved: &'a Saved,
    progress: Progress,
    /// Seconds of training before this run.
    before: f64,
}

impl<'a> Watcher<'a> {
    pub fn new(
        (args, opened, data, target): (&'a Args, &'a Opened, &'a Data, &'a Target),
        settings: &Settings,
        saved: &'a Saved,
        progress: Progress,
    ) -> Self {
        let bar = ProgressBar::start("training", settings.schedule.steps);
        bar.resume(progress.curve.len());
        let (started, before) = (Instant::now(), progress.seconds);
        Self { args, opened, data, target, started, bar, trained: 0, saved, progress, before }
    }

    /// The loss of each step, and the perplexities of each evaluation.
    pub fn finish(self) -> (Vec<Value>, Vec<Value>) {
        self.bar.finish();
        (self.progress.curve, self.progress.evaluations)
    }

    /// Seconds of training, those of an interrupted run included.
    fn seconds(&self) -> f64 {
        self.before + self.started.elapsed().as_secs_f64()
    }

    /// Whether the training has had its time.
    fn is_out_of_time(&self) -> bool {
        self.args.steps.max_seconds.is_some_and(|most| self.seconds() >= most)
    }
}

impl Watch<WatchError> for Watcher<'_> {
    fn evaluate(&mut self, state: &State) -> Result<f64, WatchError> {
        let State { step, trainable, .. } = state;
        let model = self.opened.model(&self.target.device);
        let tuned = Tuned { decoder: &model, trainable };
        let mut found = Vec::new();
        let mut losses = Vec::new();
        for (name, samples) in &self.data.evaluations {
            let Batches { batches, lanes } = self.target.batches(&self.opened.spec, samples);
            let result = perplexity(&tuned, &batches, &lanes, None, &Unobserved)?;
            found.push(json!({ "text": name, "perplexity": result.perplexity }));
            losses.push(result);
        }
        let shown: Vec<String> =
            losses.iter().map(|result| format!("{:.3}", result.perplexity)).collect();
        self.bar.note(format!("step {step}: perplexity {}", shown.join(", ")));
        let seconds = self.seconds();
        let evaluation = json!({ "step": step, "seconds": seconds, "texts": found });
        self.progress.evaluations.push(evaluation);
        Ok(losses.first().map_or(f64::NAN, |result| result.nll))
    }

    fn step(&mut self, report: &StepReport, state: &State) -> Result<Next, WatchError> {
        self.trained += report.tokens;
        let rate = self.trained as f64 / self.started.elapsed().as_secs_f64();
        let goes_on = self.bar.step().is_continue();
        self.bar.message(format!("loss {:.4}, {rate:.0} tokens/s", report.loss));
        let seconds = self.seconds();
        let step = json!({
            "step": report.step,
            "loss": report.loss,
            "nll": report.nll,
            "tokens": report.tokens,
            "learning_rate": report.rate,
            "gradient_norm": report.gradient_norm,
            "seconds": seconds,
        });
        self.progress.curve.push(step);
        self.progress.seconds = seconds;
        if report.evaluation.is_some() || !goes_on {
            self.saved.write(state, &self.progress).map_err(WatchError::Unsaved)?;
        }
        Ok(match (goes_on, self.is_out_of_time()) {
            (false, _) => Next::Cancel,
            (true, true) => Next::Finish,
            (true, false) => Next::Continue,
        })
    }
}
