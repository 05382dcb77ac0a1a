//! Qwen3 (dense): Llama with an RMS norm over every query and key head. The head norms are
//! inside the heads, so a rotation of the stream does not concern them.

use super::qwen2;
use crate::DecoderSpec;
use crate::config::{Config, Result};
use crate::llama_like::llama_like;

pub(super) fn parse(config: Config<'_>) -> Result<DecoderSpec> {
    let mut spec = llama_like(config, "qwen3", 32_768)?;
    if config.get("head_dim").is_none() {
        // The default of transformers' Qwen3Config, whatever the hidden size.
        spec.attention.head_dim = 128;
        spec.positions = crate::Positions::Rotary(config.rope(128, spec.context_length)?);
    }
    let bias = config.flag("attention_bias", false)?;
    (spec.attention.input_bias, spec.attention.output_bias) = (bias, bias);
    spec.attention.head_norm = Some(spec.norm.eps);
    spec.attention.windows = qwen2::windows(config, spec.layers)?;
    Ok(spec)
}
