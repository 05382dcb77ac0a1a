//! [`Settings`]: how a training runs.

use crate::Schedule;

/// How a training runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The learning rate of each step, and the number of steps.
    pub schedule: Schedule,
    /// Examples per step.
    pub batch: usize,
    /// Examples per forward pass; the gradients of a step are summed over `batch / micro_batch`
    /// passes.
    pub micro_batch: usize,
    /// Decoupled weight decay of AdamW, for matrices only.
    pub weight_decay: f64,
    /// The decay rates of the averages of the gradient and of its square.
    pub betas: [f64; 2],
    /// The largest norm of all gradients together; larger ones are scaled down. `None`: any.
    pub clip: Option<f64>,
    /// Blocks whose activations are in memory at a time.
    pub segment: usize,
    /// Steps between evaluations. Zero: only after the last step.
    pub evaluate_every: usize,
    /// Evaluations without an improvement after which the training ends. `None`: it goes on.
    pub patience: Option<usize>,
    /// The seed of the order of the examples.
    pub seed: u64,
}
