//! Phi-3, Phi-3.5-mini, Phi-4 and Phi-4-mini: Llama with packed projections, an optional window
//! and longrope.

use super::llama_like;
use crate::config::{Config, Result};
use crate::layout::{Names, Part};
use crate::{DecoderSpec, Positions};

static NAMES: Names = Names {
    base: "model.",
    embedding: "model.embed_tokens",
    positions: None,
    blocks: "model.layers.",
    parts: &[
        ("input_layernorm", &[Part::Norm(0)]),
        ("self_attn.qkv_proj", &[Part::Query, Part::Key, Part::Value]),
        ("self_attn.o_proj", &[Part::Output]),
        ("attn_shortcut_Q", &[Part::Shortcut(0)]),
        ("post_attention_layernorm", &[Part::Norm(1)]),
        ("mlp.gate_up_proj", &[Part::Gate, Part::Up]),
        ("mlp.down_proj", &[Part::Down]),
        ("mlp_shortcut_Q", &[Part::Shortcut(1)]),
    ],
    norm: "model.norm",
    head: "lm_head",
};

pub(super) fn parse(config: Config<'_>) -> Result<DecoderSpec> {
    let mut spec = llama_like(config, "phi3")?;
    spec.names = &NAMES;
    let dim = config.rotary_dim(spec.attention.head_dim, 1.0)?;
    spec.positions = Positions::Rotary(config.rope(dim, spec.context_length)?);
    let window = config.tokens_or_none("sliding_window")?;
    spec.attention.windows = config.windows(spec.layers, window, 0)?;
    Ok(spec)
}
