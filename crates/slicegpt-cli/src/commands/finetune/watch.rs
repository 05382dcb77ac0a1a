//! Following a training: progress, evaluations, time.

use std::time::Instant;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};
use slicegpt_checkpoint::CheckpointError;
use slicegpt_core::Unobserved;
use slicegpt_eval::{EvalError, perplexity};
use slicegpt_train::{Settings, State, StepReport, Trainable, Tuned, Watch};

use super::Args;
use super::data::Data;
use crate::services::device::{Batches, Target};
use crate::services::model::Opened;
use crate::show::progress::{going_on, note};

/// Why a training ends early.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// A weight or a row of the embedding cannot be read.
    #[error(transparent)]
    Model(#[from] CheckpointError),
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
    /// What each step gave.
    curve: Vec<Value>,
    /// Perplexities on all texts, by step.
    evaluations: Vec<Value>,
    evaluated: Vec<f64>,
}

impl<'a> Watcher<'a> {
    pub fn new(
        args: &'a Args,
        opened: &'a Opened,
        data: &'a Data,
        target: &'a Target,
        settings: &Settings,
    ) -> Self {
        let steps = settings.schedule.steps as u64;
        let bar = ProgressBar::with_draw_target(Some(steps), ProgressDrawTarget::stderr());
        let template = "{prefix:>12} {wide_bar} {pos}/{len}  {elapsed_precise} (ETA {eta}) {msg}";
        bar.set_style(ProgressStyle::with_template(template).expect("a valid template"));
        bar.set_prefix("training");
        let (curve, evaluations, evaluated) = Default::default();
        let started = Instant::now();
        Self { args, opened, data, target, started, bar, trained: 0, curve, evaluations, evaluated }
    }

    /// The loss of each step, and the perplexities of each evaluation.
    pub fn finish(self) -> (Vec<Value>, Vec<Value>) {
        self.bar.finish_and_clear();
        (self.curve, self.evaluations)
    }
}

impl Watch<WatchError> for Watcher<'_> {
    fn evaluate(&mut self, trainable: &Trainable) -> Result<f64, WatchError> {
        let model = self.opened.model(&self.target.device);
        let tuned = Tuned { decoder: &model, trainable };
        let mut found = Vec::new();
        for (name, samples) in &self.data.evaluations {
            let Batches { batches, lanes } = self.target.batches(&self.opened.spec, samples);
            let result = perplexity(&tuned, &batches, &lanes, None, &Unobserved)?;
            found.push(json!({ "text": name, "perplexity": result.perplexity }));
            self.evaluated.push(result.nll);
        }
        let number = self.data.evaluations.len();
        let loss = self.evaluated[self.evaluated.len() - number];
        let step = self.curve.len();
        let shown: Vec<String> =
            found.iter().map(|text| format!("{:.3}", text["perplexity"].as_f64().unwrap_or(0.0))).collect();
        self.bar.suspend(|| note(format!("step {step}: perplexity {}", shown.join(", "))));
        let seconds = self.started.elapsed().as_secs_f64();
        self.evaluations.push(json!({ "step": step, "seconds": seconds, "texts": found }));
        Ok(loss)
    }

    fn step(&mut self, report: &StepReport, _: &State) -> Result<bool, WatchError> {
        self.trained += report.tokens;
        let seconds = self.started.elapsed().as_secs_f64();
        let rate = self.trained as f64 / seconds;
        self.bar.set_position(report.step as u64);
        self.bar.set_message(format!("loss {:.4}, {rate:.0} tokens/s", report.loss));
        self.curve.push(json!({
            "step": report.step,
            "loss": report.loss,
            "nll": report.nll,
            "tokens": report.tokens,
            "learning_rate": report.rate,
            "gradient_norm": report.gradient_norm,
            "seconds": seconds,
        }));
        Ok(going_on().is_continue() && !self.args.is_out_of_time(self.started))
    }
}
