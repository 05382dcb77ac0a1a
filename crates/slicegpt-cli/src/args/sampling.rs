//! Options for text generation: how the model is loaded, how tokens are sampled, when a text ends.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Result;
use clap::Args;
use serde_json::{Map, Value};
use slicegpt_checkpoint::Dtype;
use slicegpt_generate::{GenerationConfig, Sampling, StopCriteria};

use crate::args::options::{DtypeName, positive};
use crate::args::running::Running;
use crate::services::generation::{ChatOptions, Generator};

/// How tokens are sampled, and when a text ends.
#[derive(Args, Clone)]
#[command(next_help_heading = "Sampling")]
pub struct Choosing {
    /// Temperature, which logits are divided by; 0 takes the most likely token [default: that of
    /// the model's generation_config.json, else 0]
    #[arg(long, value_name = "T", value_parser = number(0.0, 100.0), allow_negative_numbers = true)]
    temperature: Option<f32>,
    /// Sample from the N most likely tokens only; 0 takes all
    #[arg(long, value_name = "N", value_parser = count)]
    top_k: Option<usize>,
    /// Sample from the smallest set of most likely tokens with a total probability of P (nucleus)
    #[arg(long, value_name = "P", value_parser = number(0.0, 1.0))]
    top_p: Option<f32>,
    /// Sample from tokens only whose probability is at least P times the largest
    #[arg(long, value_name = "P", value_parser = number(0.0, 1.0))]
    min_p: Option<f32>,
    /// Make tokens that occurred before less likely; 1 has no effect
    #[arg(long, value_name = "X", value_parser = number(0.01, 100.0))]
    repetition_penalty: Option<f32>,
    /// Seed of the random numbers
    #[arg(long, value_name = "N", default_value_t = 42)]
    seed: u64,
    /// End before this text; may be given several times
    #[arg(long, value_name = "TEXT")]
    stop: Vec<String>,
    /// Continue after an end-of-sequence token
    #[arg(long)]
    ignore_eos: bool,
}

/// A whole number, or 0.
fn count(text: &str) -> Result<usize, String> {
    if text == "0" { Ok(0) } else { positive(text) }
}

/// A parser of numbers in a range.
fn number(least: f32, most: f32) -> impl Fn(&str) -> Result<f32, String> + Clone + Send + Sync {
    move |text| match f32::from_str(text) {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => Err(format!("a number from {least} to {most} is needed")),
    }
}

impl Choosing {
    /// The sampling parameters, given the defaults of the model.
    pub fn sampling(&self, defaults: &GenerationConfig) -> Sampling {
        let default = &defaults.sampling;
        // Options that have an effect only with sampling imply sampling.
        let asked =
            self.top_k.is_some_and(|k| k > 0) || self.top_p.is_some() || self.min_p.is_some();
        let temperature = match self.temperature {
            Some(temperature) => temperature,
            None if asked && default.temperature == 0.0 => 1.0,
            None => default.temperature,
        };
        Sampling {
            temperature,
            top_k: self.top_k.or(default.top_k).filter(|k| *k > 0),
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
        let stop_strings = [&self.stop[..], &defaults.stop_strings].concat();
        StopCriteria { max_tokens, eos, stop_strings }
    }
}

/// Device, type of the weights and chat template.
#[derive(Args, Clone)]
pub struct Loading {
    #[command(flatten)]
    pub running: Running,
    /// Type of weights in memory [default: as stored on the CPU, float32 elsewhere]
    #[arg(long, value_enum, value_name = "TYPE", help_heading = "Device")]
    weights: Option<DtypeName>,
    /// Chat template in place of the checkpoint's (Jinja)
    #[arg(long, value_name = "FILE", help_heading = "Chat")]
    chat_template: Option<PathBuf>,
    /// Variables for the chat template, as JSON, such as '{"enable_thinking": false}'
    #[arg(long, value_name = "JSON", value_parser = json_object, help_heading = "Chat")]
    chat_template_kwargs: Option<Map<String, Value>>,
}

fn json_object(text: &str) -> Result<Map<String, Value>, String> {
    match serde_json::from_str(text) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err("a JSON object is needed, such as {\"enable_thinking\": false}".into()),
        Err(error) => Err(format!("not valid JSON: {error}")),
    }
}

impl Loading {
    /// Whether a chat template was given.
    pub fn has_template(&self) -> bool {
        self.chat_template.is_some()
    }

    /// Loads `model`, a directory or a model of the Hub.
    pub fn generator(&self, model: &Path) -> Result<Generator> {
        let weights = self.weights.map(Dtype::from);
        let chat = ChatOptions {
            template: self.chat_template.clone(),
            variables: self.chat_template_kwargs.clone().unwrap_or_default(),
        };
        Generator::load(model, || self.running.open(), weights, chat)
    }
}
