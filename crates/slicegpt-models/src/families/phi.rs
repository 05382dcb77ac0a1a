//! Phi-1, Phi-1.5 and Phi-2: attention and MLP in parallel under one LayerNorm, partial rotary
//! positions, biases everywhere, the head included.

use serde_json::json;

use crate::config::{Config, Result};
use crate::llama_like::{activation, heads};
use crate::names::{Names, Part};
use crate::{DecoderSpec, MlpSpec, NormSpec, Positions, Topology};

static NAMES: Names = Names {
    base: "model.",
    embedding: "model.embed_tokens",
    positions: None,
    blocks: "model.layers.",
    parts: &[
        ("input_layernorm", &[Part::Norm(0)]),
        ("self_attn.q_proj", &[Part::Query]),
        ("self_attn.k_proj", &[Part::Key]),
        ("self_attn.v_proj", &[Part::Value]),
        ("self_attn.dense", &[Part::Output]),
        ("mlp.fc1", &[Part::Up]),
        ("mlp.fc2", &[Part::Down]),
        ("attn_shortcut_Q", &[Part::Shortcut(0)]),
    ],
    norm: "model.final_layernorm",
    head: "lm_head",
    intermediate_size: "intermediate_size",
    norm_eps: Some("layer_norm_eps"),
};

pub(super) fn parse(config: Config<'_>) -> Result<DecoderSpec> {
    config.refuse_unless("qk_layernorm", json!(false), "not supported for Phi")?;
    let layers = config.layers()?;
    let context_length = config.context_length(2048)?;
    let mut attention = heads(config, layers)?;
    (attention.input_bias, attention.output_bias) = (true, true);
    let rope = config.rope(config.rotary_dim(attention.head_dim, 0.5)?, context_length)?;
    Ok(DecoderSpec {
        model_type: "phi",
        names: &NAMES,
        vocab_size: config.count("vocab_size")?,
        hidden_size: config.width("hidden_size")?,
        layers,
        context_length,
        norm: NormSpec {
            centers: true,
            weight: true,
            bias: true,
            eps: config.positive_or_none("layer_norm_eps")?.unwrap_or(1e-5),
        },
        attention,
        mlp: MlpSpec {
            intermediate_size: config.width("intermediate_size")?,
            activation: activation(config, "hidden_act", "gelu_new")?,
            gated: false,
            input_bias: true,
            output_bias: true,
        },
        positions: Positions::Rotary(rope),
        topology: Topology::Parallel,
        tied: config.flag("tie_word_embeddings", false)?,
        width_of_heads: false,
        head_bias: true,
        slicing: None,
    })
}
