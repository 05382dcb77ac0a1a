//! The registry: one line per family. Each file defines how a `config.json` becomes a
//! [`DecoderSpec`], and the names of the tensors.

mod llama;
mod mistral;
mod opt;
mod phi;
mod phi3;
mod qwen2;
mod qwen3;

use serde_json::Value;

use crate::DecoderSpec;
use crate::config::{Config, ConfigError, Result};
use crate::portable::ARCHITECTURE;

type Parse = fn(Config<'_>) -> Result<DecoderSpec>;

/// `model_type` of every family, and how its `config.json` is read.
const FAMILIES: &[(&str, Parse)] = &[
    ("llama", llama::parse),
    ("mistral", mistral::parse),
    ("qwen2", qwen2::parse),
    ("qwen3", qwen3::parse),
    ("opt", opt::parse),
    ("phi", phi::parse),
    ("phi3", phi3::parse),
];

/// The model types that can be read, in the order of the registry.
pub const SUPPORTED: &[&str] = &{
    let mut names = [""; FAMILIES.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = FAMILIES[index].0;
        index += 1;
    }
    names
};

/// Reads a `config.json`, choosing the family by its `model_type` and, where that is missing, by
/// its `architectures`.
///
/// # Errors
///
/// If the family is unknown, a field is missing or impossible, or the model is a variant that
/// cannot be handled: [`ConfigError`] says which.
pub fn parse(config: &Value) -> Result<DecoderSpec> {
    let config = Config::new(config)?;
    let model_type = match config.text("model_type")? {
        Some(model_type) => model_type.to_string(),
        None => config
            .get("architectures")
            .and_then(|list| list.get(0)?.as_str()?.strip_suffix("ForCausalLM"))
            .map(str::to_lowercase)
            .ok_or_else(|| ConfigError::Missing("model_type".into()))?,
    };
    let family = FAMILIES.iter().find(|(name, _)| *name == model_type);
    let Some((_, parse)) = family else {
        let supported = SUPPORTED.join(", ");
        return Err(ConfigError::Unsupported { model_type, supported });
    };
    // A checkpoint may carry the model type of another model that it extends.
    let class = config.get("architectures").and_then(|list| list.get(0)?.as_str());
    if let Some(class) = class
        .filter(|class| *class != ARCHITECTURE)
        .and_then(|class| class.strip_suffix("ForCausalLM"))
        && class.to_lowercase() != model_type
    {
        return Err(ConfigError::Refused(format!(
            "`architectures` names {class}ForCausalLM, which is another model than model_type \
             {model_type}"
        )));
    }
    if config.get("quantization_config").is_some() {
        return Err(ConfigError::Refused(
            "`quantization_config` is set: a quantised checkpoint cannot be rotated; give the \
             float one"
                .into(),
        ));
    }
    config.refuse_unless("is_causal", true.into(), "every token would see later ones")?;
    parse(config)
}
