//! Mistral: Llama with a sliding attention window on every layer, where one is given.

use super::llama_like;
use crate::DecoderSpec;
use crate::config::{Config, Result};

pub(super) fn parse(config: Config<'_>) -> Result<DecoderSpec> {
    let mut spec = llama_like(config, "mistral")?;
    let window = config.tokens_or_none("sliding_window")?;
    spec.attention.windows = config.windows(spec.layers, window, 0)?;
    Ok(spec)
}
