//! Mistral: Llama with a sliding attention window on every layer, where one is given.

use super::llama_like;
use crate::DecoderSpec;
use crate::config::{Config, Result};

pub(super) fn parse(config: Config<'_>) -> Result<DecoderSpec> {
    let mut spec = llama_like(config, "mistral")?;
    // `null` is no window, but a field that is absent means transformers' default. One window for all
    // layers: `layer_types` has no say in this family.
    let window = match config.mentions("sliding_window") {
        true => config.tokens_or_none("sliding_window")?,
        false => Some(4096),
    };
    spec.attention.windows = vec![window; spec.layers];
    Ok(spec)
}
