//! [`Generator`]: a model that generates text, loaded as a whole with its tokenizer and defaults.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use burn::tensor::DType;
use serde_json::{Map, Value};
use slicegpt_checkpoint::{Checkpoint, CheckpointError, Dtype};
use slicegpt_corpus::Vocabulary;
use slicegpt_generate::{Engine, EngineError, GenerationConfig, Template};

use crate::services::device::Target;
use crate::services::model::Opened;
use crate::show::progress::{Interrupted, Progress, warn};

/// Loads a whole model on a device. Its weights have the given type, by default the stored type on
/// the CPU and float32 elsewhere; it is returned too.
pub fn load_engine(
    opened: Opened,
    target: &Target,
    weights: Option<Dtype>,
) -> Result<(Engine<Checkpoint>, Dtype)> {
    let weights = match weights {
        Some(dtype) => dtype,
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
        Ok(Engine::load(model, burn, &progress)?)
    });
    progress.finish();
    Ok((engine?.ok_or(Interrupted)?, weights))
}

/// The generation settings of a checkpoint.
pub fn generation_settings(checkpoint: &Checkpoint) -> Result<GenerationConfig> {
    let generation = checkpoint.generation_config()?;
    GenerationConfig::read(generation.as_ref(), checkpoint.config())
        .with_context(|| checkpoint.directory().display().to_string())
}

/// A model that generates text.
pub struct Generator {
    pub engine: Engine<Checkpoint>,
    pub vocabulary: Arc<Vocabulary>,
    pub defaults: GenerationConfig,
    pub target: Target,
    /// The type of its weights.
    pub weights: Dtype,
    directory: PathBuf,
    chat: ChatOptions,
}

/// How conversations become prompts.
#[derive(Default)]
pub struct ChatOptions {
    /// The template in place of the checkpoint's.
    pub template: Option<PathBuf>,
    /// Variables for the template.
    pub variables: Map<String, Value>,
}

impl Generator {
    /// Loads `model`, a directory or a model of the Hub, on the device that `open` gives.
    pub fn load(
        model: &Path,
        open: impl FnOnce() -> Result<Target>,
        weights: Option<Dtype>,
        chat: ChatOptions,
    ) -> Result<Self> {
        let opened = Opened::open(model)?;
        let directory = opened.directory();
        let vocabulary = Vocabulary::open(&directory)?;
        let defaults = generation_settings(&opened.checkpoint)?;
        if !defaults.ignored.is_empty() {
            warn(format!(
                "{}: generation settings: {} ignored; transformers would choose other tokens",
                directory.display(),
                defaults.ignored.join(", ")
            ));
        }
        let target = open()?;
        let (engine, weights) = load_engine(opened, &target, weights)?;
        Ok(Self {
            engine,
            vocabulary: Arc::new(vocabulary),
            defaults,
            target,
            weights,
            directory,
            chat,
        })
    }

    /// The chat template.
    pub fn template(&self) -> Result<Template> {
        let source = match &self.chat.template {
            Some(path) => {
                let source = slicegpt_limits::read_text(path, slicegpt_limits::MAX_DESCRIPTION);
                Some(source.with_context(|| format!("--chat-template {}", path.display()))?)
            }
            None => None,
        };
        Template::open(&self.directory, source)
            .map(|template| template.with_variables(self.chat.variables.clone()))
            .map_err(|error| anyhow!("{error}; see --chat-template"))
    }

    /// Context length of the model, in tokens.
    pub fn context_length(&self) -> usize {
        self.engine.spec().context_length
    }

    /// Checks that a prompt leaves space for an answer in the context.
    pub fn check_prompt(&self, ids: &[u32]) -> Result<()> {
        let most = self.context_length();
        let vocab_size = self.engine.spec().vocab_size;
        if let Some(id) = ids.iter().find(|id| **id as usize >= vocab_size) {
            bail!(
                "{}: the tokenizer gives token {id}, but the model has {vocab_size} only: they do \
                 not belong together",
                self.directory.display()
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

    /// An error of the engine as an error of the command.
    pub fn engine_error(&self, error: EngineError<CheckpointError>) -> anyhow::Error {
        engine_error(error, &self.directory)
    }
}

/// An error of the engine, for the model in `directory`.
pub fn engine_error(error: EngineError<CheckpointError>, directory: &Path) -> anyhow::Error {
    match error {
        EngineError::NotFinite => anyhow!("{}: {error}", directory.display()),
        EngineError::Source(error) => error.into(),
    }
}
