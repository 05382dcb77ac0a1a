//! Phi-3, Phi-3.5-mini, Phi-4 and Phi-4-mini: Llama with packed projections, an optional window
//! and longrope.

use crate::DecoderSpec;
use crate::config::{Config, Result};
use crate::llama_like::llama_like_with;
use crate::names::{Names, Part};

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
    intermediate_size: "intermediate_size",
    norm_eps: Some("rms_norm_eps"),
};

pub(super) fn parse(config: Config<'_>) -> Result<DecoderSpec> {
    let rotary = |head_dim| config.rotary_dim(head_dim, 1.0);
    let mut spec = llama_like_with(config, "phi3", 4096, rotary)?;
    spec.names = &NAMES;
    if config.get("rms_norm_eps").is_none() {
        spec.norm.eps = 1e-5;
    }
    // All layers have the same window: `layer_types` is not read in this family.
    spec.attention.windows = vec![config.tokens_or_none("sliding_window")?; spec.layers];
    Ok(spec)
}
