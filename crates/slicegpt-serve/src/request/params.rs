//! [`Params`]: the parameters that both endpoints accept.

use serde_json::{Value, json};
use slicegpt_generate::{GenerationConfig, Sampling, StopCriteria};

use crate::error::ApiError;
use crate::request::fields::{Fields, wrong_type};

/// Maximum of `n`, completions per prompt.
const MAX_N: usize = 128;

/// Maximum number of stop strings.
const MAX_STOPS: usize = 64;

/// Maximum length of a stop string, in bytes: every text is searched for it after each token.
const MAX_STOP_BYTES: usize = 1024;

/// Maximum number of `top_logprobs` per token.
pub const MAX_TOP_LOGPROBS: usize = 20;

/// Fields of OpenAI's API, or of other servers and clients, that do not affect a response of this
/// server.
const IGNORED: &[&str] = &[
    "cache_prompt",
    "chat_id",
    "id",
    "keep_alive",
    "metadata",
    "parallel_tool_calls",
    "prompt_cache_key",
    "prompt_cache_retention",
    "request_id",
    "safety_identifier",
    "service_tier",
    "session_id",
    "store",
    "user",
];

/// Whether a field of another server's API has the value with which it changes nothing. Clients
/// send all of their settings.
fn is_neutral(name: &str, value: &Value) -> bool {
    match name {
        "allowed_token_ids" | "bad_words" | "documents" | "functions" | "stop_token_ids"
        | "tools" => *value == json!([]),
        "background_tasks" | "chat_template_kwargs" | "features" | "options" => *value == json!({}),
        "continue_final_message"
        | "early_stopping"
        | "include_stop_str_in_output"
        | "return_progress"
        | "return_tokens_as_token_ids"
        | "timings_per_token"
        | "use_beam_search" => *value == json!(false),
        "include_reasoning" | "skip_special_tokens" | "spaces_between_special_tokens" => {
            *value == json!(true)
        }
        "dry_multiplier"
        | "dynatemp_range"
        | "min_tokens"
        | "mirostat"
        | "no_repeat_ngram_size"
        | "priority"
        | "top_a"
        | "xtc_probability" => value.as_f64() == Some(0.0),
        "length_penalty" | "num_beams" | "repeat_penalty" | "tfs_z" | "typical_p" => {
            value.as_f64() == Some(1.0)
        }
        "response_format" => *value == json!({"type": "text"}),
        _ => false,
    }
}

/// Where the reasoning is returned that the model writes between `<think>` and `</think>`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReasoningFormat {
    /// In the content, with all else that the model writes.
    #[default]
    None,
    /// In `reasoning_content`, as in DeepSeek's API; the content is what follows.
    DeepSeek,
}

/// How completions are generated and returned.
#[derive(Clone, Debug)]
pub struct Params {
    /// Completions per prompt.
    pub n: usize,
    /// Maximum number of tokens of each completion, if the request sets it.
    pub max_tokens: Option<usize>,
    /// How tokens are chosen. The seed is not set here.
    pub sampling: Sampling,
    pub seed: Option<u64>,
    pub stop: Vec<String>,
    /// End-of-sequence tokens; none with `ignore_eos`.
    pub eos: Vec<u32>,
    /// Return the prompt in front of the completion.
    pub echo: bool,
    /// Return logprobs, with this many `top_logprobs` per token.
    pub top_logprobs: Option<usize>,
    /// Return the completion as server-sent events while it is generated.
    pub stream: bool,
    /// End a stream with a chunk that holds the token counts.
    pub include_usage: bool,
    /// Where reasoning is returned; `None` if the request does not say.
    pub reasoning_format: Option<ReasoningFormat>,
}

impl Params {
    /// Takes the common parameters out of `fields`, for the model called `name` with `defaults`.
    /// Parameters that only one endpoint has keep their defaults.
    pub fn take(
        fields: &mut Fields,
        name: &str,
        defaults: &GenerationConfig,
    ) -> Result<Self, ApiError> {
        match fields.string("model")? {
            Some(model) if model == name => {}
            Some(model) => return Err(ApiError::model_not_found(&model)),
            None => {
                let message = "you must provide a model parameter; see /v1/models";
                return Err(ApiError::invalid("model", "missing_parameter", message));
            }
        }
        let stream = fields.flag("stream")?;
        let include_usage = include_usage(fields, stream)?;
        let sampling = sampling(fields, &defaults.sampling)?;
        let seed = fields.integer("seed", i64::MIN..=i64::MAX)?.map(|seed| seed as u64);
        let n = fields.count("n", 1, MAX_N)?.unwrap_or(1);
        let mut stop = fields.strings("stop", MAX_STOPS)?;
        if let Some(long) = stop.iter().find(|stop| stop.len() > MAX_STOP_BYTES) {
            let message =
                format!("'stop' has a string of {} bytes; {MAX_STOP_BYTES} at most", long.len());
            return Err(ApiError::invalid("stop", "invalid_value", message));
        }
        stop.extend_from_slice(&defaults.stop_strings);
        let eos = if fields.flag("ignore_eos")? { Vec::new() } else { defaults.eos.clone() };
        fields.fixed("logit_bias", &[json!({})], "this server does not modify logits")?;
        fields.ignore(IGNORED);
        fields.leave_out(is_neutral);
        Ok(Self {
            n,
            max_tokens: None,
            sampling,
            seed,
            stop,
            eos,
            echo: false,
            top_logprobs: None,
            stream,
            include_usage,
            reasoning_format: None,
        })
    }

    /// The criteria that end a completion of at most `max_tokens` tokens.
    pub fn stop_criteria(&self, max_tokens: usize) -> StopCriteria {
        StopCriteria { max_tokens, eos: self.eos.clone(), stop_strings: self.stop.clone() }
    }

    /// Whether the response contains logprobs of the prompt's tokens.
    pub fn wants_prompt_logprobs(&self) -> bool {
        self.echo && self.top_logprobs.is_some()
    }
}

/// The sampling parameters. A checkpoint that asks for sampling supplies the default temperature,
/// as in vLLM; otherwise OpenAI's default of 1 applies.
fn sampling(fields: &mut Fields, default: &Sampling) -> Result<Sampling, ApiError> {
    let temperature = if default.temperature > 0.0 { default.temperature } else { 1.0 };
    let top_k = fields.integer("top_k", -1..=i64::from(u32::MAX))?;
    Ok(Sampling {
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
    })
}

fn include_usage(fields: &mut Fields, stream: bool) -> Result<bool, ApiError> {
    let name = "stream_options";
    match fields.take(name) {
        None => Ok(false),
        Some(_) if !stream => {
            let message = "'stream_options' is only allowed when 'stream' is true";
            Err(ApiError::invalid(name, "invalid_value", message))
        }
        Some(Value::Object(options)) => {
            let mut options = Fields::new(options);
            let include_usage = options.flag("include_usage")?;
            // The field asks for padding that hides token lengths from eavesdroppers. This server
            // never pads.
            options.ignore(&["include_obfuscation"]);
            options.finish()?;
            Ok(include_usage)
        }
        Some(other) => Err(wrong_type(name, "an object", &other)),
    }
}
