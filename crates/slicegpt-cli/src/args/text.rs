//! Options for text and tokens, and the samples that they select.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use slicegpt_core::TokenBatch;
use slicegpt_corpus::{
    Samples, Text, Vocabulary, calibration_samples, evaluation_samples, is_token_file, token_file,
};

use crate::args::options::positive;
use crate::services::device::Target;
use crate::services::model::Opened;
use crate::show::progress::{Interrupted, Progress, note, warn};

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
    /// Column of JSONL or Parquet files that holds the text [default: text, or Alpaca's fields]
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
                let text = Text::read(path, self.text_column.as_deref())?;
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

    /// The samples of a token file, clipped to `--seqlen` and to the context of the model.
    fn tokens(&self, model: &Opened, spec: &str) -> Result<Samples> {
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

/// The entry in a manifest for calibration text from `source`.
pub fn described(samples: &Samples, source: String) -> slicegpt_provenance::CalibrationRecord {
    slicegpt_provenance::CalibrationRecord {
        source,
        digest: samples.digest(),
        samples: samples.count(),
        seqlen: samples.seqlen(),
        tokens: samples.kept(),
    }
}

/// Options for the calibration text.
#[derive(Args, Clone)]
#[command(next_help_heading = "Calibration")]
pub struct Calibration {
    /// Text (plain, JSONL, Parquet), token ids (FILE.safetensors[:TENSOR]), or `self`: text sampled
    /// from the model [default: a small bundled text]
    #[arg(long, value_name = "FILE|self")]
    pub calibration: Option<PathBuf>,
    /// Sequences to calibrate on [default: 128]
    #[arg(long, value_name = "N", value_parser = positive)]
    samples: Option<usize>,
    #[command(flatten)]
    pub cutting: Cutting,
    /// Seed for the choice of text, --calibration self and --orientation random
    #[arg(long, value_name = "N", default_value_t = 42)]
    pub seed: u64,
}

impl Calibration {
    /// The samples, and the name of their source.
    pub fn load(&self, model: &Opened, target: &Target) -> Result<(Samples, String)> {
        let Some(path) = &self.calibration else {
            note("calibrating on the small bundled text; --calibration FILE takes your own");
            return self.cut_text(model, Text::bundled());
        };
        let name = path.to_string_lossy();
        if name == "self" {
            return Ok((self.sample_model(model, target)?, "self".into()));
        }
        if is_token_file(&name) {
            self.cutting.seqlen_for(model);
            let samples = self.cutting.tokens(model, &name)?;
            samples.check_vocabulary(model.spec.vocab_size, &name)?;
            self.say_if_fewer(samples.count());
            let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            return Ok((samples.take(self.samples()), file));
        }
        self.cut_text(model, Text::read(path, self.cutting.text_column.as_deref())?)
    }

    fn samples(&self) -> usize {
        self.samples.unwrap_or(SAMPLES)
    }

    fn cut_text(&self, model: &Opened, text: Text) -> Result<(Samples, String)> {
        let vocabulary = Vocabulary::open(&model.directory())?;
        let seqlen = self.cutting.seqlen_for(model);
        let samples = calibration_samples(&text, &vocabulary, self.samples(), seqlen, self.seed)?;
        samples.check_vocabulary(model.spec.vocab_size, "the tokenizer's output")?;
        self.say_if_fewer(samples.count());
        Ok((samples, text.source().to_string()))
    }

    fn say_if_fewer(&self, count: usize) {
        let wanted = self.samples();
        if count < wanted {
            let message =
                format!("{count} calibration samples instead of {wanted}: there is no more text");
            // A warning only if the number of samples or the text was given.
            if self.samples.is_some() || self.calibration.is_some() {
                warn(message);
            } else {
                note(message);
            }
        }
    }

    fn sample_model(&self, opened: &Opened, target: &Target) -> Result<Samples> {
        let seqlen = self.cutting.seqlen_for(opened);
        let id = |field: &str| {
            let value = opened.checkpoint.config().get(field)?;
            // Some configs list several end-of-sequence tokens.
            let id = value.as_u64().or_else(|| value.get(0)?.as_u64())?;
            u32::try_from(id).ok().filter(|id| (*id as usize) < opened.spec.vocab_size)
        };
        let first = id("bos_token_id").or_else(|| id("eos_token_id")).unwrap_or(0);
        // A decode step is cheap per sequence, so many sequences are sampled at once.
        let group = target.batch_size(&opened.spec, seqlen).max(32);
        let progress =
            Progress::start("sampling", self.samples().div_ceil(group) * (seqlen - 1).max(1));
        let ids = slicegpt_generate::sample_sequences(
            &opened.model(&target.device),
            self.samples(),
            seqlen,
            group,
            first,
            self.seed,
            &progress,
        )?;
        progress.finish();
        Ok(Samples::new(ids.ok_or(Interrupted)?, None, seqlen))
    }
}
