//! [`fit`]: the steps of a training.

use burn::tensor::Tensor;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use slicegpt_core::{Block, TokenBatch};

use crate::{Example, Gradients, Network, Settings, State, Sums, Targets, TeacherStreams};

/// The stream before the first block and the context of a batch, or why they cannot be computed.
pub type Embedded<C, E> = Result<(Tensor<3>, C), E>;

/// What is trained, and on what.
pub struct Job<'a, B: Block, E> {
    /// The decoder.
    pub network: &'a Network<B>,
    /// Computes the stream before the first block.
    pub embed: &'a dyn Fn(&TokenBatch) -> Embedded<B::Context, E>,
    /// The examples; at least one.
    pub examples: &'a [Example],
    /// A teacher, for distillation, with the temperature and its share of the loss.
    pub teacher: Option<(&'a TeacherStreams, [f64; 2])>,
    /// How it runs.
    pub settings: &'a Settings,
}

/// What happened in a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepReport {
    /// The number of steps done.
    pub step: usize,
    /// The mean loss of the predicted tokens.
    pub loss: f64,
    /// Their mean negative log-likelihood.
    pub nll: f64,
    /// The number of predicted tokens.
    pub tokens: usize,
    /// The learning rate.
    pub rate: f64,
    /// The norm of all gradients before clipping.
    pub gradient_norm: f64,
    /// The result of the evaluation after this step, if there was one.
    pub evaluation: Option<f64>,
}

/// Follows a training.
pub trait Watch<E> {
    /// The loss of the trained tensors on data that are not trained on; smaller is better.
    ///
    /// # Errors
    ///
    /// Ends the training.
    fn evaluate(&mut self, state: &State) -> Result<f64, E>;

    /// A step is done. Says how the training goes on.
    ///
    /// # Errors
    ///
    /// Ends the training.
    fn step(&mut self, report: &StepReport, state: &State) -> Result<Next, E>;
}

/// How a training goes on after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// With the next step.
    Continue,
    /// It ends here, as if this step were the last one: the tensors are evaluated.
    Finish,
    /// It ends here at once.
    Cancel,
}

/// Why a training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All steps are done.
    Complete,
    /// The evaluations did not improve, or the watcher ended it.
    Stopped,
    /// The watcher ended it at once.
    Cancelled,
}

/// Why a training failed.
#[derive(Debug, thiserror::Error)]
pub enum TrainError<E: std::error::Error + 'static> {
    /// Data could not be computed, or the watcher failed.
    #[error(transparent)]
    Source(E),
    /// The loss or a gradient is not finite. The state is that before the step.
    #[error(
        "the loss or a gradient of step {step} is not finite: the learning rate may be too high"
    )]
    NotFinite {
        /// The step, counted from 1.
        step: usize,
    },
}

/// Trains from `state` on, until all steps are done, evaluations do not improve any more, or
/// `watch` ends it. The tensors before the first step are evaluated too, so that the best are never
/// worse than these.
///
/// The order of the examples depends on the seed and the step only: a training that goes on from a
/// [`State`] gives what an uninterrupted one gives.
///
/// # Errors
///
/// See [`TrainError`]; `state` is the last good one.
pub fn fit<B: Block + Clone, E: std::error::Error + 'static>(
    job: &Job<'_, B, E>,
    state: &mut State,
    watch: &mut dyn Watch<E>,
) -> Result<Ending, TrainError<E>> {
    let Settings { schedule, evaluate_every, patience, clip, .. } = job.settings;
    if state.step == 0 && state.best.is_none() {
        evaluate(state, watch)?;
    }
    while state.step < schedule.steps {
        let step = state.step;
        let (mut gradients, sums) = step_gradients(job, state, step)?;
        let norm = gradients.norm();
        if !norm.is_finite() || !sums.loss.is_finite() {
            return Err(TrainError::NotFinite { step: step + 1 });
        }
        if let Some(clip) = clip
            && norm > *clip
        {
            gradients.scale(clip / norm);
        }
        let rate = schedule.rate(step);
        state.update(rate, &gradients);
        let is_last = state.step == schedule.steps;
        let evaluates =
            is_last || *evaluate_every > 0 && state.step.is_multiple_of(*evaluate_every);
        let evaluation = if evaluates { Some(evaluate(state, watch)?) } else { None };
        let count = sums.labels.max(1) as f64;
        let report = StepReport {
            step: state.step,
            loss: sums.loss / count,
            nll: sums.nll / count,
            tokens: sums.labels,
            rate,
            gradient_norm: norm,
            evaluation,
        };
        match watch.step(&report, state).map_err(TrainError::Source)? {
            Next::Continue => {}
            Next::Cancel => return Ok(Ending::Cancelled),
            Next::Finish => {
                if !evaluates {
                    evaluate(state, watch)?;
                }
                return Ok(Ending::Stopped);
            }
        }
        if patience.is_some_and(|patience| state.since_best >= patience) {
            return Ok(Ending::Stopped);
        }
    }
    Ok(Ending::Complete)
}

/// Evaluates the present tensors, and keeps them if they are the best.
fn evaluate<E: std::error::Error + 'static>(
    state: &mut State,
    watch: &mut dyn Watch<E>,
) -> Result<f64, TrainError<E>> {
    let loss = watch.evaluate(state).map_err(TrainError::Source)?;
    state.evaluated(loss);
    Ok(loss)
}

/// The gradients of the mean loss of a step.
fn step_gradients<B: Block + Clone, E: std::error::Error + 'static>(
    job: &Job<'_, B, E>,
    state: &State,
    step: usize,
) -> Result<(Gradients, Sums), TrainError<E>> {
    let chosen = chosen(job.examples.len(), job.settings, step);
    let predicted: usize = chosen.iter().map(|index| job.examples[*index].predicted()).sum();
    let mut gradients = Gradients::default();
    let mut sums = Sums::default();
    for indices in chosen.chunks(job.settings.micro_batch) {
        let examples: Vec<&Example> = indices.iter().map(|index| &job.examples[*index]).collect();
        let (batch, labels) = Example::batch(&examples);
        let (stream, context) = (job.embed)(&batch).map_err(TrainError::Source)?;
        let tokens = batch.shape()[1];
        let distillation =
            job.teacher.map(|(teacher, settings)| teacher.distillation(indices, tokens, settings));
        let targets = Targets { labels: &labels, distillation, count: predicted.max(1) as f64 };
        let segment = job.settings.segment;
        let trainable = &state.trainable;
        let of_batch =
            job.network.gradients(trainable, stream, &context, &targets, segment, &mut gradients);
        sums.add(of_batch);
    }
    Ok((gradients, sums))
}

/// The examples of a step: all in a random order, then all in another one.
fn chosen(count: usize, settings: &Settings, step: usize) -> Vec<usize> {
    let first = step * settings.batch;
    let epochs = (first / count..).flat_map(|epoch| {
        let mut order: Vec<usize> = (0..count).collect();
        let mut generator = ChaCha8Rng::seed_from_u64(settings.seed);
        generator.set_stream(epoch as u64);
        order.shuffle(&mut generator);
        order
    });
    epochs.skip(first % count).take(settings.batch).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Decay, Schedule};

    #[test]
    fn an_epoch_has_every_example_once() {
        let settings = Settings {
            schedule: Schedule { peak: 0.1, warmup: 0, steps: 10, decay: Decay::Constant },
            batch: 3,
            micro_batch: 3,
            weight_decay: 0.0,
            betas: [0.9, 0.999],
            clip: None,
            segment: 1,
            evaluate_every: 0,
            patience: None,
            seed: 5,
        };
        let all: Vec<usize> = (0..14).flat_map(|step| chosen(7, &settings, step)).collect();
        let mut orders = Vec::new();
        for epoch in all.chunks(7) {
            let mut sorted = epoch.to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3, 4, 5, 6]);
            orders.push(epoch.to_vec());
        }
        assert_ne!(orders[0], orders[1]);
    }
}
