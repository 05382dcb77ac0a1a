//! Options for text and tokens, and the samples that they select.

use std::path::Path;

use anyhow::Result;
use clap::Args;
use slicegpt_core::TokenBatch;
use slicegpt_corpus::{Samples, Text, Vocabulary, evaluation_samples, is_token_file, token_file};

use crate::args::conversations::read_text;
use crate::args::options::positive;
use crate::services::model::Opened;
use crate::show::progress::warn;

/// Tokens per sequence by default, if the context of the model allows it.
pub const SEQLEN: usize = 2048;

/// Number of calibration sequences by default.
pub const SAMPLES: usize = 128;

/// How text is cut into sequences.
#[derive(Args, Clone)]
pub struct Cutting {
    /// Tokens per sequence; clamped to the model's context [default: 2048]
    #[arg(long, value_name = "N", value_parser = positive)]
    pub seqlen: Option<usize>,
    /// Column of JSONL, CSV or Parquet files that holds the text, or conversations for the chat
    /// template of the model [default: text, messages, or Alpaca's fields]
    #[arg(long, value_name = "NAME")]
    pub text_column: Option<String>,
}

impl Cutting {
    /// Tokens per sequence for `model`.
    pub fn seqlen_for(&self, model: &Opened) -> usize {
        let context = model.spec.context_length;
        if let Some(seqlen) = self.seqlen.filter(|seqlen| *seqlen > context) {
            warn(format!("--seqlen {seqlen} is clamped to the model's context, {context}"));
        }
        self.seqlen.unwrap_or(SEQLEN).min(context)
    }

    /// Text or tokens to score: all of it, or the first `most` sequences.
    pub fn evaluation(
        &self,
        model: &Opened,
        text: Option<&Path>,
        tokens: Option<&str>,
        most: Option<usize>,
    ) -> Result<Samples> {
        let seqlen = self.seqlen_for(model);
        let samples = match (text, tokens) {
            (_, Some(spec)) => self.tokens(model, spec)?,
            (Some(path), None) if is_token_file(&path.to_string_lossy()) => {
                self.tokens(model, &path.to_string_lossy())?
            }
            (Some(path), None) => {
                let vocabulary = Vocabulary::open(&model.directory())?;
                let text = self.read(model, path)?;
                evaluation_samples(&text, &vocabulary, seqlen)?
            }
            (None, None) => {
                let vocabulary = Vocabulary::open(&model.directory())?;
                evaluation_samples(&Text::bundled(), &vocabulary, seqlen)?
            }
        };
        let file = text.map(|path| path.to_string_lossy()).filter(|path| is_token_file(path));
        let what = tokens.map(Into::into).or(file);
        let what = what.unwrap_or_else(|| "the tokenizer's output".into());
        samples.check_vocabulary(model.spec.vocab_size, &what)?;
        if let Some(most) = most.filter(|most| *most > samples.count()) {
            warn(format!("{} sequences instead of {most}: there is no more text", samples.count()));
        }
        Ok(match most {
            Some(most) => samples.take(most),
            None => samples,
        })
    }

    /// The text of a file. Conversations go through the chat template of the model.
    pub fn read(&self, model: &Opened, path: &Path) -> Result<Text> {
        read_text(&model.directory(), path, self.text_column.as_deref())
    }

    /// The samples of a token file, clipped to `--seqlen` and to the context of the model.
    pub fn tokens(&self, model: &Opened, spec: &str) -> Result<Samples> {
        let samples = token_file(spec)?;
        let length = self.seqlen.unwrap_or(usize::MAX).min(model.spec.context_length);
        if length < samples.seqlen() {
            let full = samples.seqlen();
            warn(format!("{spec}: the first {length} of {full} tokens of each sample are used"));
        }
        Ok(samples.clip(length))
    }
}

/// All sequences of `samples` as one batch.
pub fn token_batch(samples: &Samples) -> TokenBatch {
    let (ids, mask) = samples.batches(samples.count().max(1)).next().unwrap_or_default();
    TokenBatch::new(ids.to_vec(), mask.map(<[bool]>::to_vec), samples.seqlen())
}
