//! Options for the calibration texts, and the samples that they select.

use std::borrow::Cow;
use std::fs;
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};
use slicegpt_compress::{Method, Plan, directions, enough_sequences};
use slicegpt_corpus::{Mixture, Samples, Text, Vocabulary, calibration_samples, is_token_file};
use slicegpt_generate::Script;
use slicegpt_models::DecoderSpec;
use slicegpt_provenance::{CalibrationRecord, TextRecord};

use crate::args::computing::Computing;
use crate::args::options::positive;
use crate::args::source::{Origin, Source};
use crate::args::text::{Cutting, SAMPLES};
use crate::services::device::Target;
use crate::services::model::Opened;
use crate::services::own_text;
use crate::show::progress::{note, warn};
use crate::show::size::{show_bytes, show_count, show_percent};

/// What errors about calibration texts begin with.
const OPTION: &str = "--calibration";

/// Options for the calibration texts.
#[derive(Args, Clone)]
#[command(next_help_heading = "Calibration")]
pub struct Calibration {
    /// Text (plain, JSONL, Parquet; conversations in `messages`), token ids
    /// (FILE.safetensors[:TENSOR]), `self`: text sampled from the model, or `self:chat`:
    /// conversations sampled from it in its chat template. May be given several times: SHARE is a
    /// text's part of the samples, by default an equal part of what the others leave of 1
    /// [default: a small bundled text]
    #[arg(
        long,
        value_name = "TEXT[=SHARE]",
        value_parser = OsStringValueParser::new().try_map(Source::parse)
    )]
    calibration: Vec<Source>,
    /// Sequences to calibrate on, or auto: 64 tokens for each direction of the largest fit, 16 to
    /// 128 sequences [default: auto; 128 for the per-layer method]
    #[arg(long, value_name = "N|auto")]
    samples: Option<Count>,
    #[command(flatten)]
    pub cutting: Cutting,
    /// Seed for the choice of text, --calibration self and --orientation random
    #[arg(long, value_name = "N", default_value_t = 42)]
    pub seed: u64,
}

/// The number of sequences.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Count {
    /// As many as the width of the model asks for.
    Auto,
    Fixed(usize),
}

impl FromStr for Count {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            _ => positive(text).map(Self::Fixed).map_err(|why| format!("{why}, or auto")),
        }
    }
}

/// What a calibration is for.
pub struct Purpose<'a> {
    pub plan: &'a Plan,
    pub computing: &'a Computing,
    /// How many streams are kept.
    pub streams: usize,
}

impl<'a> Purpose<'a> {
    /// To cut a model, with a second stream if it is refitted.
    pub fn cut(plan: &'a Plan, computing: &'a Computing) -> Self {
        Self { plan, computing, streams: if plan.refit().is_some() { 2 } else { 1 } }
    }
}

/// A calibration text that was opened: nothing has been computed yet.
enum Ready {
    Tokens(Samples),
    Text(Text),
    Written(Script),
}

impl Calibration {
    /// Checks everything that can be checked before the model is opened.
    pub fn check(&self) -> Result<()> {
        let check = || {
            let sources = self.sources();
            let samples = match self.samples {
                Some(Count::Fixed(count)) => count,
                // The most that auto takes.
                Some(Count::Auto) | None => SAMPLES,
            };
            mixture(&sources)?.counts(samples)?;
            for (at, Source { origin, .. }) in sources.iter().enumerate() {
                if sources[..at].iter().any(|source| source.origin == *origin) {
                    let name = origin.name();
                    bail!("`{name}` is given twice; give it once, with a larger share");
                }
                if let Some(path) = origin.text_file() {
                    fs::metadata(path).with_context(|| path.display().to_string())?;
                }
            }
            Ok(())
        };
        check().context(OPTION)
    }

    /// Whether texts are named.
    pub fn names_texts(&self) -> bool {
        !self.calibration.is_empty()
    }

    /// The number of sequences of `seqlen` tokens for this plan.
    pub fn count(&self, plan: &Plan, dense: &DecoderSpec, seqlen: usize) -> usize {
        match self.wanted(plan) {
            Count::Auto => enough_sequences(directions(plan, dense), seqlen),
            Count::Fixed(count) => count,
        }
    }

    fn wanted(&self, plan: &Plan) -> Count {
        self.samples.unwrap_or(match plan.method {
            Method::Shared => Count::Auto,
            Method::PerLayer => Count::Fixed(SAMPLES),
        })
    }

    /// The samples, and their entry in a manifest.
    pub fn load(
        &self,
        model: &Opened,
        target: &Target,
        purpose: &Purpose<'_>,
    ) -> Result<(Samples, CalibrationRecord)> {
        let sources = self.sources();
        if self.calibration.is_empty() {
            note("calibrating on the small bundled text; --calibration FILE takes your own");
        }
        let limit = self.cutting.seqlen_for(model);
        let ready = |source: &Source| self.open(model, source);
        let ready: Vec<Ready> = sources.iter().map(ready).collect::<Result<_>>().context(OPTION)?;
        // Texts are cut to the length of the token files beside them.
        let length = ready.iter().filter_map(|ready| match ready {
            Ready::Tokens(samples) => Some(samples.seqlen()),
            Ready::Text(_) | Ready::Written(_) => None,
        });
        let seqlen = length.min().unwrap_or(limit);
        let wanted = self.count(purpose.plan, &model.spec, seqlen);
        let mixture = mixture(&sources)?;
        let counts = mixture.counts(wanted).context(OPTION)?;
        // What the model writes comes last: it takes the most time.
        let mut parts: Vec<Option<Samples>> = Vec::new();
        for (ready, count) in ready.iter().zip(&counts) {
            parts.push(self.cut(model, ready, [*count, seqlen])?);
        }
        for ((part, ready), count) in parts.iter_mut().zip(&ready).zip(&counts) {
            if let Ready::Written(script) = ready {
                let size = [*count, seqlen];
                *part = Some(own_text::write(model, target, script, size, self.seed)?);
            }
        }
        let names: Vec<String> = sources.iter().map(|source| source.origin.name()).collect();
        let parts: Vec<(&str, Samples)> =
            names.iter().map(String::as_str).zip(parts.into_iter().flatten()).collect();
        for ((name, samples), wanted) in parts.iter().zip(&counts) {
            let name = (parts.len() > 1).then_some(*name);
            self.say_if_fewer(name, samples.count(), *wanted);
        }
        let samples = Samples::interleaved(&parts).context(OPTION)?;
        let record = record(&samples, &parts, mixture.shares());
        if self.wanted(purpose.plan) == Count::Auto {
            note(cost(&samples, &model.spec, purpose));
        }
        Ok((samples, record))
    }

    /// The texts.
    fn sources(&self) -> Cow<'_, [Source]> {
        match self.calibration.as_slice() {
            [] => vec![Source { origin: Origin::Bundled, share: None }].into(),
            given => given.into(),
        }
    }

    fn open(&self, model: &Opened, source: &Source) -> Result<Ready> {
        Ok(match &source.origin {
            Origin::Bundled => Ready::Text(Text::bundled()),
            Origin::Model => Ready::Written(own_text::text(model)),
            Origin::Conversations => {
                Ready::Written(own_text::conversation(model).context("self:chat")?)
            }
            Origin::File(path) => {
                let name = path.to_string_lossy();
                if is_token_file(&name) {
                    let samples = self.cutting.tokens(model, &name)?;
                    samples.check_vocabulary(model.spec.vocab_size, &name)?;
                    Ready::Tokens(samples)
                } else {
                    Ready::Text(self.cutting.read(model, path)?)
                }
            }
        })
    }

    /// At most `count` samples of `seqlen` tokens; `None` if the model is to write them.
    fn cut(
        &self,
        model: &Opened,
        ready: &Ready,
        [count, seqlen]: [usize; 2],
    ) -> Result<Option<Samples>> {
        match ready {
            Ready::Tokens(samples) => Ok(Some(samples.clone().take(count))),
            Ready::Text(text) => {
                let cut = || -> Result<Samples> {
                    let vocabulary = Vocabulary::open(&model.directory())?;
                    let samples = calibration_samples(text, &vocabulary, count, seqlen, self.seed)?;
                    samples.check_vocabulary(model.spec.vocab_size, "the tokenizer's output")?;
                    Ok(samples)
                };
                if self.calibration.is_empty() { cut() } else { cut().context(OPTION) }.map(Some)
            }
            Ready::Written(script) => {
                let least = script.least_tokens();
                if seqlen < least {
                    bail!(
                        "{OPTION}: a conversation in the chat template has {least} tokens at \
                         least, and a sequence has {seqlen}; raise --seqlen"
                    );
                }
                Ok(None)
            }
        }
    }

    fn say_if_fewer(&self, name: Option<&str>, count: usize, wanted: usize) {
        if count < wanted {
            let text = name.map_or_else(String::new, |name| format!("{name}: "));
            let message = format!(
                "{text}{count} calibration samples instead of {wanted}: there is no more text"
            );
            // A warning only if the number of samples or the text was given.
            let is_asked = self.samples.is_some() || !self.calibration.is_empty();
            if is_asked && self.samples != Some(Count::Auto) {
                warn(message);
            } else {
                note(message);
            }
        }
    }
}

fn mixture(sources: &[Source]) -> Result<Mixture> {
    let shares: Vec<Option<f64>> = sources.iter().map(|source| source.share).collect();
    Ok(Mixture::new(&shares)?)
}

/// The entry in a manifest. Only several texts are listed.
fn record(samples: &Samples, parts: &[(&str, Samples)], shares: &[f64]) -> CalibrationRecord {
    let text = |((name, samples), share): (&(&str, Samples), &f64)| TextRecord {
        source: (*name).into(),
        share: *share,
        samples: samples.count(),
        digest: samples.digest(),
    };
    let texts: Vec<TextRecord> = match parts {
        [_] => Vec::new(),
        parts => parts.iter().zip(shares).map(text).collect(),
    };
    let names = parts.iter().zip(shares).map(|((name, _), share)| match parts {
        [_] => name.to_string(),
        _ => format!("{name} {}", show_percent(*share)),
    });
    CalibrationRecord {
        source: names.collect::<Vec<_>>().join(", "),
        digest: samples.digest(),
        samples: samples.count(),
        seqlen: samples.seqlen(),
        tokens: samples.kept(),
        texts,
    }
}

/// What `--samples auto` costs and what it is good for.
fn cost(samples: &Samples, spec: &DecoderSpec, purpose: &Purpose<'_>) -> String {
    let (count, seqlen) = (samples.count(), samples.seqlen());
    let directions = directions(purpose.plan, spec);
    let (bytes, place) = purpose.computing.kept(spec, samples, purpose.streams);
    format!(
        "--samples auto: {count} sequences of {seqlen} tokens have {} tokens, for {directions} \
         directions in the largest fit; the calibration streams take {} {place}. More tokens give \
         a better model: on SmolLM2-135M, a quarter smaller, 64 sequences of 1024 tokens in place \
         of 16 lowered the excess perplexity from 18.3 to 15.1.",
        show_count(samples.kept()),
        show_bytes(bytes),
    )
}
