//! The arguments of `slicegpt finetune`, and the settings that they ask for.

use std::path::PathBuf;

use anyhow::{Result, bail};
use slicegpt_train::{Decay, Schedule, Settings};

use crate::args::options::{DtypeName, positive};
use crate::args::running::Running;
use crate::args::text::Cutting;
use crate::args::writing::Writing;
use crate::services::model::Opened;

/// Arguments of `slicegpt finetune`.
#[derive(clap::Args)]
pub struct Args {
    /// Hugging Face checkpoint directory, GGUF file, or org/name[@revision] on the Hub; dense or
    /// sliced
    pub model: PathBuf,
    /// Directory to write; it appears only when it is complete
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Text or token ids to train on. May be given several times
    #[arg(long, value_name = "TEXT[:TENSOR]", required = true)]
    pub train: Vec<PathBuf>,
    /// Text or token ids to evaluate on. The best state by the first of them is kept [default: the
    /// last twentieth of the training text, which is not trained on]
    #[arg(long, value_name = "TEXT[:TENSOR]")]
    pub eval: Vec<PathBuf>,
    #[command(flatten)]
    pub cutting: Cutting,
    /// Train on the first N sequences only
    #[arg(long, value_name = "N", value_parser = positive)]
    pub max_samples: Option<usize>,
    #[command(flatten)]
    pub weights: Weights,
    #[command(flatten)]
    pub steps: Steps,
    /// Train towards the predictions of this model too, usually the dense one
    #[arg(long, value_name = "TEACHER", help_heading = "Distillation")]
    pub distill: Option<PathBuf>,
    /// Temperature of both distributions in the divergence
    #[arg(
        long,
        allow_negative_numbers = true,
        value_name = "T",
        default_value_t = 1.0,
        requires = "distill"
    )]
    #[arg(help_heading = "Distillation")]
    pub temperature: f64,
    /// Share of the divergence from the teacher in the loss; the rest is that of the labels
    #[arg(
        long,
        allow_negative_numbers = true,
        value_name = "0..1",
        default_value_t = 1.0,
        requires = "distill"
    )]
    #[arg(help_heading = "Distillation")]
    pub mix: f64,
    #[command(flatten)]
    pub running: Running,
    /// Write a LoRA adapter in PEFT's layout, and not a checkpoint with the corrections added
    #[arg(long, conflicts_with_all = ["full", "dtype"])]
    pub adapter: bool,
    /// Type to write weights as [default: that of most weights of the model]
    #[arg(long, value_enum)]
    pub dtype: Option<DtypeName>,
    #[command(flatten)]
    pub writing: Writing,
}

/// Which weights are trained.
#[derive(clap::Args)]
#[command(next_help_heading = "Weights")]
pub struct Weights {
    /// Train the weights themselves, and not low-rank corrections of them (LoRA)
    #[arg(long)]
    pub full: bool,
    /// Weights to train: attention, mlp, norms, shortcuts, head, or the last part of the name of a
    /// tensor, such as q_proj [default: attention,mlp; with --full also norms and shortcuts]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub targets: Vec<String>,
    /// Rank of the corrections
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = positive)]
    #[arg(conflicts_with = "full")]
    pub rank: usize,
    /// The corrections are multiplied by ALPHA / RANK [default: twice the rank]
    #[arg(long, allow_negative_numbers = true, value_name = "ALPHA", conflicts_with = "full")]
    pub alpha: Option<f64>,
}

/// How the steps run.
#[derive(clap::Args)]
#[command(next_help_heading = "Training")]
pub struct Steps {
    /// Passes over the training text
    #[arg(long, allow_negative_numbers = true, value_name = "N", default_value_t = 1.0)]
    pub epochs: f64,
    /// Steps, in place of --epochs
    #[arg(long, value_name = "N", value_parser = positive, conflicts_with = "epochs")]
    pub steps: Option<usize>,
    /// Seconds after which the training ends, at the next step
    #[arg(long, allow_negative_numbers = true, value_name = "SECONDS")]
    pub max_seconds: Option<f64>,
    /// Sequences per step
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = positive)]
    pub batch: usize,
    /// Sequences per forward pass; gradients are summed over those of a step
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = positive)]
    pub micro_batch: usize,
    /// Largest learning rate [default: 2e-4; 5e-5 with --full]
    #[arg(long, allow_negative_numbers = true, value_name = "RATE")]
    pub learning_rate: Option<f64>,
    /// Part of the steps over which the learning rate rises
    #[arg(long, allow_negative_numbers = true, value_name = "0..1", default_value_t = 0.1)]
    pub warmup: f64,
    /// How the learning rate falls afterwards
    #[arg(long, value_enum, default_value_t = DecayName::Cosine)]
    pub decay: DecayName,
    /// Decoupled weight decay of matrices
    #[arg(long, allow_negative_numbers = true, value_name = "RATE", default_value_t = 0.0)]
    pub weight_decay: f64,
    /// Largest norm of all gradients together; larger ones are scaled down. 0: any
    #[arg(long, allow_negative_numbers = true, value_name = "NORM", default_value_t = 1.0)]
    pub clip: f64,
    /// Steps between evaluations [default: a tenth of the steps]
    #[arg(long, value_name = "N", value_parser = positive)]
    pub eval_every: Option<usize>,
    /// End after this many evaluations without an improvement
    #[arg(long, value_name = "N", value_parser = positive)]
    pub patience: Option<usize>,
    /// Keep the activations of all blocks, and do not compute them again: a quarter faster, and
    /// more memory
    #[arg(long)]
    pub keep_activations: bool,
    /// Go on with an interrupted training, from the state beside --out
    #[arg(long)]
    pub resume: bool,
    /// Seed of the order of the sequences and of the corrections
    #[arg(long, value_name = "N", default_value_t = 42)]
    pub seed: u64,
}

/// How a learning rate falls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum DecayName {
    /// It stays.
    Constant,
    /// Linearly to zero.
    Linear,
    /// Along half a cosine to zero.
    Cosine,
}

impl Args {
    /// Checks what can be checked before any work.
    pub fn check(&self, model: &Opened, teacher: Option<&Opened>) -> Result<()> {
        let steps = &self.steps;
        let within = |name: &str, value: f64, [least, most]: [f64; 2]| {
            if (least..=most).contains(&value) {
                return Ok(());
            }
            bail!("{name} {value}: a number from {least} to {most} is needed")
        };
        within("--learning-rate", self.rate(), [f64::MIN_POSITIVE, 1.0])?;
        within("--warmup", steps.warmup, [0.0, 1.0])?;
        within("--weight-decay", steps.weight_decay, [0.0, 1.0])?;
        within("--clip", steps.clip, [0.0, 1e9])?;
        within("--epochs", steps.epochs, [1e-3, 1e6])?;
        within("--mix", self.mix, [0.0, 1.0])?;
        within("--temperature", self.temperature, [0.01, 100.0])?;
        if let Some(alpha) = self.weights.alpha {
            within("--alpha", alpha, [f64::MIN_POSITIVE, 1e6])?;
        }
        if let Some(seconds) = steps.max_seconds {
            within("--max-seconds", seconds, [1.0, 1e9])?;
        }
        let vectors = |name: &&String| ["norms", "shortcuts"].contains(&name.as_str());
        if let Some(name) = self.weights.targets.iter().find(vectors)
            && self.adapter
        {
            bail!(
                "--targets {name}: an adapter holds corrections of linears only; leave --adapter \
                 out, or these weights"
            );
        }
        let Some(teacher) = teacher else { return Ok(()) };
        let [ours, theirs] = [model, teacher].map(|opened| opened.spec.vocab_size);
        if ours != theirs {
            bail!(
                "--distill {}: has {theirs} token ids, and {} has {ours}: a teacher must have the \
                 vocabulary of the model",
                teacher.directory().display(),
                self.model.display()
            );
        }
        Ok(())
    }

    /// The settings of a training on `examples` sequences.
    pub fn settings(&self, examples: usize) -> Result<Settings> {
        let given = &self.steps;
        let batch = given.batch.min(examples);
        let of_epochs = || (given.epochs * examples as f64 / batch as f64).ceil() as usize;
        let steps = given.steps.unwrap_or_else(of_epochs).max(1);
        let decay = match given.decay {
            DecayName::Constant => Decay::Constant,
            DecayName::Linear => Decay::Linear,
            DecayName::Cosine => Decay::Cosine,
        };
        let warmup = (given.warmup * steps as f64).round() as usize;
        Ok(Settings {
            schedule: Schedule { peak: self.rate(), warmup, steps, decay },
            batch,
            micro_batch: given.micro_batch.min(batch),
            weight_decay: given.weight_decay,
            betas: [0.9, 0.999],
            clip: (given.clip > 0.0).then_some(given.clip),
            segment: if given.keep_activations { usize::MAX } else { 1 },
            evaluate_every: given.eval_every.unwrap_or(steps.div_ceil(10)),
            patience: given.patience,
            seed: given.seed,
        })
    }

    /// The largest learning rate.
    pub fn rate(&self) -> f64 {
        let default = if self.weights.full { 5e-5 } else { 2e-4 };
        self.steps.learning_rate.unwrap_or(default)
    }

    /// What products of low-rank factors are multiplied by.
    pub fn scale(&self) -> f64 {
        let rank = self.weights.rank as f64;
        self.weights.alpha.unwrap_or(2.0 * rank) / rank
    }
}
