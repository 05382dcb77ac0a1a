//! Qwen2 and Qwen2.5: Llama with biases on query, key and value, and an optional window on the
//! upper layers.

use crate::DecoderSpec;
use crate::config::{Config, Result};
use crate::llama_like::llama_like;

pub(super) fn parse(config: Config<'_>) -> Result<DecoderSpec> {
    let mut spec = llama_like(config, "qwen2", 32_768)?;
    spec.attention.input_bias = true;
    spec.attention.windows = windows(config, spec.layers)?;
    Ok(spec)
}

/// The window is off unless `use_sliding_window`, and starts at layer `max_window_layers`.
pub(super) fn windows(config: Config<'_>, layers: usize) -> Result<Vec<Option<usize>>> {
    let window = if config.flag("use_sliding_window", false)? {
        Some(config.tokens_or_none("sliding_window")?.unwrap_or(4096))
    } else {
        None
    };
    let first = config.number_or_none("max_window_layers")?.map_or(28, |n| n.max(0.0) as usize);
    config.windows(layers, window, first)
}
