//! Options for comparing a sliced model with its dense one on text.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use slicegpt_corpus::{Samples, prompts};
use slicegpt_eval::labels;

use crate::args::options::positive;
use crate::args::text::{Cutting, token_batch};
use crate::services::model::Opened;

/// Tokens of a prompt that is continued.
const PROMPT_TOKENS: usize = 32;

/// Tokens that a prompt is continued by.
const NEW_TOKENS: usize = 32;

/// Options for comparing a sliced model with its dense one on text.
#[derive(Args, Clone)]
#[command(next_help_heading = "Evaluation")]
pub struct Evaluation {
    /// Text or token ids to compare the sliced model with the dense one on, after the cut:
    /// perplexity of both, KL divergence, most likely tokens, greedy continuations. May be given
    /// several times
    #[arg(long = "eval-text", value_name = "TEXT[:TENSOR]")]
    texts: Vec<PathBuf>,
    /// Evaluate on the first N sequences of each text only
    #[arg(long = "eval-max-samples", value_name = "N", value_parser = positive)]
    max_samples: Option<usize>,
    /// Prompts, taken evenly from each text, whose greedy continuations by both models are
    /// compared. Each model is in memory as a whole meanwhile; 0 for none
    #[arg(long = "eval-prompts", value_name = "N", default_value_t = 64)]
    prompts: usize,
    /// Do not score labels equal to this token
    #[arg(long, value_name = "ID")]
    pub ignore_token_id: Option<u32>,
}

/// A text to compare two models on.
pub struct EvaluationText {
    pub path: PathBuf,
    /// The last part of the path.
    pub name: String,
    pub samples: Samples,
    /// Prompts to continue, all of the same length.
    pub prompts: Vec<Vec<u32>>,
    /// Tokens that each prompt is continued by.
    pub new_tokens: usize,
}

impl Evaluation {
    /// The texts, as token ids for `model`.
    pub fn load(&self, model: &Opened, cutting: &Cutting) -> Result<Vec<EvaluationText>> {
        let mut texts: Vec<EvaluationText> = Vec::with_capacity(self.texts.len());
        for path in &self.texts {
            let at = || format!("--eval-text {}", path.display());
            let text = self.text(path, model, cutting).with_context(at)?;
            if let Some(other) = texts.iter().find(|other| other.name == text.name) {
                bail!(
                    "--eval-text {}: has the name of {}, and results are identified by name; \
                     rename one",
                    path.display(),
                    other.path.display()
                );
            }
            texts.push(text);
        }
        Ok(texts)
    }

    fn text(&self, path: &Path, model: &Opened, cutting: &Cutting) -> Result<EvaluationText> {
        let samples = cutting.evaluation(model, Some(path), None, self.max_samples)?;
        if labels(&[token_batch(&samples)], self.ignore_token_id) == 0 {
            bail!("no token is left to score; see --seqlen and --ignore-token-id");
        }
        // Prompt and continuation share the context.
        let context = model.spec.context_length;
        let prompt_tokens = PROMPT_TOKENS.min(samples.seqlen()).min(context.div_ceil(2));
        Ok(EvaluationText {
            path: path.into(),
            name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            prompts: prompts(&samples, self.prompts, prompt_tokens),
            new_tokens: NEW_TOKENS.min(context - prompt_tokens),
            samples,
        })
    }
}
