//! [`Language`]: all that answering takes of a model but its weights.

use std::sync::Arc;

use slicegpt_corpus::Vocabulary;
use slicegpt_generate::{Defaults, Template};

/// All that answering takes of a model but its weights.
pub struct Language {
    /// What clients call the model.
    pub name: String,
    /// Text to tokens and back.
    pub vocabulary: Arc<Vocabulary>,
    /// Conversations to prompts; or why there are none.
    pub template: Result<Template, String>,
    /// What the checkpoint says about choosing tokens.
    pub defaults: Defaults,
    /// Tokens the model sees.
    pub context_length: usize,
    /// Tokens the model knows.
    pub vocab_size: usize,
}
