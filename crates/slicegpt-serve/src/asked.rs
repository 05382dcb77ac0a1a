//! [`Asked`]: what both endpoints can be asked for.

use serde_json::{Value, json};
use slicegpt_generate::{Defaults, Ending, Sampling};

use crate::error::ApiError;
use crate::fields::Fields;

/// Texts of one prompt, at most.
const MOST_TEXTS: usize = 128;

/// Strings that end a text, at most.
const MOST_STOPS: usize = 64;

/// Bytes of such a string, at most: every text is searched for it, token by token.
const MOST_STOP_BYTES: usize = 1024;

/// Alternatives that are told of a token, at most.
pub const MOST_ALTERNATIVES: usize = 20;

/// What no answer depends on here.
const IGNORED: &[&str] = &[
    "metadata",
    "parallel_tool_calls",
    "prompt_cache_key",
    "safety_identifier",
    "service_tier",
    "store",
    "user",
];

/// How texts are to be made and told.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Texts of each prompt.
    pub n: usize,
    /// Tokens of each text, where it was said.
    pub most: Option<usize>,
    /// How tokens are chosen; the seed is not in it.
    pub sampling: Sampling,
    pub seed: Option<u64>,
    pub stops: Vec<String>,
    pub ends: Vec<u32>,
    /// The prompt is part of the text.
    pub echo: bool,
    /// How likely tokens were is told, with so many alternatives.
    pub alternatives: Option<usize>,
    /// The text is told as it comes.
    pub stream: bool,
    /// The last part of a stream counts tokens.
    pub usage: bool,
}

impl Asked {
    /// What is asked for in `fields`, of model `name`, which says `defaults`. What only one of the
    /// endpoints has is left to it.
    pub fn take(fields: &mut Fields, name: &str, defaults: &Defaults) -> Result<Self, ApiError> {
        match fields.text("model")? {
            Some(model) if model == name => {}
            Some(model) => return Err(ApiError::no_model(&model)),
            None => {
                let message = "you must provide a model parameter; see /v1/models";
                return Err(ApiError::invalid("model", "missing_parameter", message));
            }
        }
        let stream = fields.flag("stream")?;
        let usage = usage(fields, stream)?;
        let default = &defaults.sampling;
        // As vLLM does: what the checkpoint says, where it says that tokens are drawn, else OpenAI's.
        let temperature = if default.temperature > 0.0 { default.temperature } else { 1.0 };
        let top_k = fields.integer("top_k", -1..=i64::from(u32::MAX))?;
        let sampling = Sampling {
            temperature: fields.number("temperature", 0.0..=100.0)?.unwrap_or(temperature),
            top_k: match top_k {
                Some(k) => (k > 0).then_some(k as usize),
                None => default.top_k,
            },
            top_p: fields.number("top_p", 0.0..=1.0)?.or(default.top_p).filter(|p| *p < 1.0),
            min_p: fields.number("min_p", 0.0..=1.0)?.or(default.min_p),
            repetition_penalty: fields
                .number("repetition_penalty", 0.01..=100.0)?
                .unwrap_or(default.repetition_penalty),
            presence_penalty: fields.number("presence_penalty", -2.0..=2.0)?.unwrap_or(0.0),
            frequency_penalty: fields.number("frequency_penalty", -2.0..=2.0)?.unwrap_or(0.0),
            seed: 0,
        };
        let seed = fields.integer("seed", i64::MIN..=i64::MAX)?.map(|seed| seed as u64);
        let n = fields.count("n", 1, MOST_TEXTS)?.unwrap_or(1);
        let stops = fields.texts("stop", MOST_STOPS)?;
        if let Some(long) = stops.iter().find(|stop| stop.len() > MOST_STOP_BYTES) {
            let message =
                format!("'stop' has a string of {} bytes; {MOST_STOP_BYTES} at most", long.len());
            return Err(ApiError::invalid("stop", "invalid_value", message));
        }
        let ends = if fields.flag("ignore_eos")? { Vec::new() } else { defaults.ends.clone() };
        fields.fixed("logit_bias", &[json!({})], "logits are taken as they are")?;
        fields.ignore(IGNORED);
        let (most, echo, alternatives) = (None, false, None);
        Ok(Self { n, most, sampling, seed, stops, ends, echo, alternatives, stream, usage })
    }

    /// When a text of `most` tokens ends.
    pub fn ending(&self, most: usize) -> Ending {
        Ending { most, ends: self.ends.clone(), stops: self.stops.clone() }
    }

    /// Whether the tokens of prompts are told how likely they were.
    pub fn scores_prompts(&self) -> bool {
        self.echo && self.alternatives.is_some()
    }
}

fn usage(fields: &mut Fields, stream: bool) -> Result<bool, ApiError> {
    let name = "stream_options";
    match fields.take(name) {
        None => Ok(false),
        Some(_) if !stream => {
            let message = "'stream_options' is only allowed when 'stream' is true";
            Err(ApiError::invalid(name, "invalid_value", message))
        }
        Some(Value::Object(options)) => {
            let mut options = Fields::new(options);
            let usage = options.flag("include_usage")?;
            // It pads the parts, against who listens to their lengths; there is nothing to hide here.
            options.ignore(&["include_obfuscation"]);
            options.finish()?;
            Ok(usage)
        }
        Some(other) => Err(crate::fields::wrong_type(name, "an object", &other)),
    }
}
