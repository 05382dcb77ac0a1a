//! Llama 1, 2, 3 and 3.x, from which most other families are derived. Attention and MLP biases are
//! options.

use crate::DecoderSpec;
use crate::config::{Config, Result};
use crate::llama_like::llama_like;

pub(super) fn parse(config: Config<'_>) -> Result<DecoderSpec> {
    let mut spec = llama_like(config, "llama", 2048)?;
    // transformers 5 checks it in this family.
    spec.width_of_heads = true;
    let bias = config.flag("attention_bias", false)?;
    (spec.attention.input_bias, spec.attention.output_bias) = (bias, bias);
    let bias = config.flag("mlp_bias", false)?;
    (spec.mlp.input_bias, spec.mlp.output_bias) = (bias, bias);
    Ok(spec)
}
