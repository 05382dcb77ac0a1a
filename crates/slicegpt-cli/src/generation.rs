//! A model for text generation: loaded whole, with its tokenizer and generation settings.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use burn::tensor::DType;
use clap::Args;
use slicegpt_checkpoint::{Checkpoint, CheckpointError, Dtype};
use slicegpt_corpus::Vocabulary;
use slicegpt_generate::{Engine, EngineError, GenerationConfig, Sampling, StopCriteria, Template};

use crate::device::{Running, Target};
use crate::model::Opened;
use crate::options::{DtypeName, positive};
use crate::progress::{Interrupted, Progress};

/// How tokens are chosen, and when generation ends.
#[derive(Args, Clone)]
#[command(next_help_heading = "Sampling")]
pub struct Choosing {
    /// Divisor of the logits; 0 is greedy [default: from the model's generation_config.json, else 0]
    #[arg(long, value_name = "T", value_parser = number(0.0, 100.0))]
    temperature: Option<f32>,
    /// Sample from the N most likely tokens only
    #[arg(long, value_name = "N", value_parser = positive)]
    top_k: Option<usize>,
    /// Sample from the most likely tokens with total probability P only
    #[arg(long, value_name = "P", value_parser = number(0.0, 1.0))]
    top_p: Option<f32>,
    /// Sample only from tokens with at least P times the greatest probability
    #[arg(long, value_name = "P", value_parser = number(0.0, 1.0))]
    min_p: Option<f32>,
    /// Make tokens that already occurred less likely; 1 has no effect
    #[arg(long, value_name = "X", value_parser = number(0.01, 100.0))]
    repetition_penalty: Option<f32>,
    /// Seed of the random number generator
    #[arg(long, value_name = "N", default_value_t = 42)]
    seed: u64,
    /// End before this text; may be given several times
    #[arg(long, value_name = "TEXT")]
    stop: Vec<String>,
    /// Continue after an end-of-sequence token
    #[arg(long)]
    ignore_eos: bool,
}

/// A number in a range, as clap parses values.
fn number(least: f32, most: f32) -> impl Fn(&str) -> Result<f32, String> + Clone + Send + Sync {
    move |text| match f32::from_str(text) {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => Err(format!("a number from {least} to {most} is needed")),
    }
}

impl Choosing {
    /// How tokens are chosen, for a model with `defaults`.
    pub fn sampling(&self, defaults: &GenerationConfig) -> Sampling {
        let default = &defaults.sampling;
        // Options that only have an effect on sampling turn it on.
        let samples = self.top_k.is_some() || self.top_p.is_some() || self.min_p.is_some();
        let temperature = match self.temperature {
            Some(temperature) => temperature,
            None if samples && default.temperature == 0.0 => 1.0,
            None => default.temperature,
        };
        Sampling {
            temperature,
            top_k: self.top_k.or(default.top_k),
            top_p: self.top_p.or(default.top_p),
            min_p: self.min_p.or(default.min_p),
            repetition_penalty: self.repetition_penalty.unwrap_or(default.repetition_penalty),
            seed: self.seed,
            ..Sampling::default()
        }
    }

    /// When generation ends, after `max_tokens` tokens at the latest.
    pub fn stop_criteria(&self, defaults: &GenerationConfig, max_tokens: usize) -> StopCriteria {
        let eos = if self.ignore_eos { Vec::new() } else { defaults.eos.clone() };
        StopCriteria { max_tokens, eos, stop_strings: self.stop.clone() }
    }
}

/// How a model is loaded.
#[derive(Args, Clone)]
pub struct Loading {
    #[command(flatten)]
    pub running: Running,
    /// Type of the weights in memory [default: as stored on the CPU, float32 on accelerators]
    #[arg(long, value_enum, value_name = "TYPE", help_heading = "Device")]
    weights: Option<DtypeName>,
    /// File with a Jinja chat template, in place of the checkpoint's
    #[arg(long, value_name = "FILE", help_heading = "Chat")]
    chat_template: Option<PathBuf>,
}

impl Loading {
    /// Whether a template was given on the command line.
    pub fn has_template(&self) -> bool {
        self.chat_template.is_some()
    }
}

/// Loads a whole model on a device, and returns the type of its weights: `weights`, or else the
/// stored type on the CPU and float32 on an accelerator.
pub fn load_engine(
    opened: Opened,
    target: &Target,
    weights: Option<DtypeName>,
) -> Result<(Engine<Checkpoint>, Dtype)> {
    let weights = match weights {
        Some(name) => Dtype::from(name),
        None if target.is_cpu() => opened.dtype,
        None => Dtype::F32,
    };
    let burn = match weights {
        Dtype::F32 => DType::F32,
        Dtype::F16 => DType::F16,
        Dtype::Bf16 => DType::BF16,
    };
    let missing = match weights {
        Dtype::F32 => false,
        Dtype::F16 => !target.is_cpu() && !target.info.float16,
        Dtype::Bf16 => !target.is_cpu() && !target.info.bfloat16,
    };
    if missing {
        let (name, model) = (&target.info.name, &target.info.model);
        bail!("--weights {weights}: device {name} ({model}) does not compute in it; use f32");
    }
    let progress = Progress::start("loading", opened.spec.layers);
    target.doing("loading the model".into());
    let engine = target.run(|| {
        let model = opened.into_model(&target.device);
        Ok(Engine::load(model, burn, &mut || progress.tick())?)
    });
    progress.finish();
    Ok((engine?.ok_or(Interrupted)?, weights))
}

/// A model for text generation.
pub struct Generator {
    pub engine: Engine<Checkpoint>,
    pub vocabulary: Arc<Vocabulary>,
    pub defaults: GenerationConfig,
    pub target: Target,
    /// The type of its weights in memory.
    pub weights: Dtype,
    directory: PathBuf,
    template: Option<PathBuf>,
}

impl Generator {
    /// Loads `model`, a directory or a model of the Hub.
    pub fn load(model: &Path, loading: &Loading) -> Result<Self> {
        let opened = Opened::open(model)?;
        let directory = opened.directory();
        let vocabulary = Vocabulary::open(&directory)?;
        let generation = opened.checkpoint.generation_config()?;
        let defaults = GenerationConfig::read(generation.as_ref(), opened.checkpoint.config());
        let target = loading.running.open()?;
        let (engine, weights) = load_engine(opened, &target, loading.weights)?;
        Ok(Self {
            engine,
            vocabulary: Arc::new(vocabulary),
            defaults,
            target,
            weights,
            directory,
            template: loading.chat_template.clone(),
        })
    }

    /// The chat template.
    pub fn template(&self) -> Result<Template> {
        let source = match &self.template {
            Some(path) => {
                let source = std::fs::read_to_string(path);
                Some(source.with_context(|| format!("--chat-template {}", path.display()))?)
            }
            None => None,
        };
        Template::open(&self.directory, source)
            .map_err(|error| anyhow!("{error}; see --chat-template"))
    }

    /// Maximum sequence length, in tokens.
    pub fn context_length(&self) -> usize {
        self.engine.spec().context_length
    }

    /// Checks that a prompt is valid and leaves room for generated tokens.
    pub fn check_prompt(&self, ids: &[u32]) -> Result<()> {
        let most = self.context_length();
        let vocab_size = self.engine.spec().vocab_size;
        if let Some(id) = ids.iter().find(|id| **id as usize >= vocab_size) {
            bail!(
                "the tokenizer gives token {id}, but the model has {vocab_size} only: they do not \
                 belong together"
            );
        }
        match ids.len() {
            0 => bail!(
                "the prompt is empty, and this tokenizer puts no token before a text; give one"
            ),
            tokens if tokens >= most => bail!(
                "the prompt has {tokens} tokens, and this model sees {most}, those of its answer \
                 included; shorten it"
            ),
            _ => Ok(()),
        }
    }

    /// The error of a forward pass, as an error of the command.
    pub fn engine_error(&self, error: EngineError<CheckpointError>) -> anyhow::Error {
        engine_error(error, &self.directory)
    }
}

/// The error of a forward pass of the model in `directory`.
pub fn engine_error(error: EngineError<CheckpointError>, directory: &Path) -> anyhow::Error {
    match error {
        EngineError::NotFinite => anyhow!("{}: {error}", directory.display()),
        EngineError::Source(error) => error.into(),
    }
}
