//! [`Language`]: everything about a model that serving needs, except its weights.

use std::sync::Arc;

use slicegpt_corpus::Vocabulary;
use slicegpt_generate::{GenerationConfig, Template};

/// Everything about a model that serving needs, except its weights.
pub struct Language {
    /// The model name that clients use.
    pub name: String,
    /// The tokenizer.
    pub vocabulary: Arc<Vocabulary>,
    /// The chat template; or why there is none.
    pub template: Result<Template, String>,
    /// Default sampling and end-of-sequence tokens of the checkpoint.
    pub defaults: GenerationConfig,
    /// Maximum sequence length of the model, in tokens.
    pub context_length: usize,
    /// Number of token ids that the model has an embedding for.
    pub vocab_size: usize,
}
