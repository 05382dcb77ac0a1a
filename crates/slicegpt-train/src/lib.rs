//! Training after a cut: which weights of a decoder are trained, their gradients block by block,
//! the optimiser, and the loop over the steps.
//!
//! A decoder is seen through [`slicegpt_core::Block`] only: weights are named by their role in a
//! sublayer ([`Place`]), so that a block of one's own is trained like the ones of the zoo. Start
//! with [`Trainable`], which holds the trained weights, whole or as low-rank corrections (LoRA,
//! arXiv 2106.09685), and [`Network`], a decoder in memory that computes their gradients.
//! [`fit`] runs the steps.
//!
//! Gradients go through Burn's autodiff, a few blocks at a time ([`Settings::segment`]): the
//! forward pass keeps the stream before each segment only, and the backward pass computes a segment
//! again with its gradients (activation checkpointing). The head does not go through autodiff: the
//! gradient of the logits is known in closed form, and they are computed a few tokens at a time.
//!
//! This crate knows no files, texts, tokenizers, families, or names of tensors.

mod fit;
mod gradients;
mod head;
mod network;
mod optimizer;
mod place;
mod schedule;
mod selection;
mod settings;
mod state;
mod targets;
mod teacher;
mod trainable;
mod tuned;

pub use fit::{Embedded, Ending, Job, Next, StepReport, TrainError, Watch, fit};
pub use gradients::Gradients;
pub use network::{Network, Sums};
pub use optimizer::Optimizer;
pub use place::{Factor, Key, Place};
pub use schedule::{Decay, Schedule};
pub use selection::{Group, How};
pub use settings::Settings;
pub use state::State;
pub use targets::{Distillation, Example, Targets};
pub use teacher::TeacherStreams;
pub use trainable::Trainable;
pub use tuned::Tuned;
