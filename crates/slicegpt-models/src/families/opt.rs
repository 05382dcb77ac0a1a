//! OPT: LayerNorm before each sublayer, biases everywhere, learned positions, plain MLP, tied head.

use serde_json::json;

use crate::config::{Config, ConfigError, Result};
use crate::llama_like::{activation, heads};
use crate::names::{Names, Part};
use crate::{DecoderSpec, MlpSpec, NormSpec, Positions, Topology};

static NAMES: Names = Names {
    base: "model.",
    embedding: "model.decoder.embed_tokens",
    positions: Some("model.decoder.embed_positions"),
    blocks: "model.decoder.layers.",
    parts: &[
        ("self_attn_layer_norm", &[Part::Norm(0)]),
        ("self_attn.q_proj", &[Part::Query]),
        ("self_attn.k_proj", &[Part::Key]),
        ("self_attn.v_proj", &[Part::Value]),
        ("self_attn.out_proj", &[Part::Output]),
        ("attn_shortcut_Q", &[Part::Shortcut(0)]),
        ("final_layer_norm", &[Part::Norm(1)]),
        ("fc1", &[Part::Up]),
        ("fc2", &[Part::Down]),
        ("mlp_shortcut_Q", &[Part::Shortcut(1)]),
    ],
    norm: "model.decoder.final_layer_norm",
    head: "lm_head",
    intermediate_size: "ffn_dim",
    norm_eps: None,
};

pub(super) fn parse(config: Config<'_>) -> Result<DecoderSpec> {
    let hidden_size = config.width("hidden_size")?;
    let projected = config.width_or_none("word_embed_proj_dim")?.unwrap_or(hidden_size);
    if !config.flag("do_layer_norm_before", true)? || projected != hidden_size {
        return Err(ConfigError::Refused(format!(
            "this OPT (opt-350m is one) normalises after the residual sum or projects its \
             embedding ({projected} to {hidden_size}): its stream cannot be rotated, so SliceGPT \
             does not apply; the other OPT sizes work"
        )));
    }
    config.refuse_unless("_remove_final_layer_norm", json!(false), "a final norm is needed")?;
    config.refuse_unless("layer_norm_elementwise_affine", json!(true), "not supported for OPT")?;
    let layers = config.layers()?;
    let mut attention = heads(config, layers)?;
    let bias = config.flag("enable_bias", true)?;
    (attention.input_bias, attention.output_bias) = (bias, bias);
    Ok(DecoderSpec {
        model_type: "opt",
        names: &NAMES,
        vocab_size: config.count("vocab_size")?,
        hidden_size,
        layers,
        context_length: config.context_length(2048)?,
        // OPT's config has no epsilon: this is the default of PyTorch.
        norm: NormSpec { centers: true, weight: true, bias: true, eps: 1e-5 },
        attention,
        mlp: MlpSpec {
            intermediate_size: config.width("ffn_dim")?,
            activation: activation(config, "activation_function", "relu")?,
            gated: false,
            input_bias: bias,
            output_bias: bias,
        },
        positions: Positions::Learned { offset: 2 },
        topology: Topology::Sequential,
        tied: config.flag("tie_word_embeddings", true)?,
        width_of_heads: false,
        head_bias: false,
        slicing: None,
    })
}
