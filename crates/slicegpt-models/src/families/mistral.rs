//! Mistral: Llama with a sliding attention window on every layer, if one is given.

use crate::DecoderSpec;
use crate::config::{Config, Result};
use crate::llama_like::llama_like;

pub(super) fn parse(config: Config<'_>) -> Result<DecoderSpec> {
    let mut spec = llama_like(config, "mistral", 131_072)?;
    // `null` is no window, but an absent field means the default of transformers. All layers have
    // the same window: `layer_types` is not read in this family.
    let window = if config.mentions("sliding_window") {
        config.tokens_or_none("sliding_window")?
    } else {
        Some(4096)
    };
    spec.attention.windows = vec![window; spec.layers];
    Ok(spec)
}
