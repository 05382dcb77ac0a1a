//! Text generation: from logits to tokens to text.
//!
//! An [`Engine`] holds a whole decoder on its device and runs any number of [`Sequence`]s in one
//! batch, each with its own KV cache. A sequence chooses its tokens ([`Sampling`]), knows when it
//! ends ([`StopCriteria`], [`FinishReason`]), and turns its tokens into text as they come
//! ([`Detokenizer`], [`StopStrings`]). [`TokenLogprobs`] are the logprobs of a token and its
//! alternatives, [`Engine::score`] gives the likelihoods of given tokens, and a [`Template`] turns
//! a conversation into a prompt. [`sample_sequences`] samples calibration data from the model
//! itself, as a [`Script`] says, and [`greedy_continuations`] continues prompts, to compare two
//! models.
//!
//! Start with [`Engine::load`], [`Sequence::new`], and the loop `engine.next_logits(..)`,
//! `sequence.accept(..)`.
//!
//! This crate knows nothing about the command line, sockets, families, or the inside of a block or
//! head: it calls them. It does choose the dtype in which they run, and it computes
//! probabilities from logits.

mod calibration;
mod continuation;
mod decoding_context;
mod detokenizer;
mod engine;
mod generation_config;
mod logprobs;
mod sampling;
mod scoring;
mod script;
mod sequence;
mod stop;

pub use calibration::sample_sequences;
pub use continuation::{greedy_continuations, same_beginnings};
pub use decoding_context::decoding_context;
pub use detokenizer::Detokenizer;
pub use engine::{Engine, EngineError};
pub use generation_config::{GenerationConfig, InvalidSetting};
pub use logprobs::{TokenLogprobs, log_probabilities};
pub use sampling::{Sampler, Sampling};
pub use scoring::{Candidate, ScoringInput, TokenLikelihood};
pub use script::{Script, ScriptError};
pub use sequence::{FinishReason, Sequence, StopCriteria, TokenOutput};
pub use slicegpt_chat::{Message, Template, TemplateError};
pub use stop::StopStrings;
