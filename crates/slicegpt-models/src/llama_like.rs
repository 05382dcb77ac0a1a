//! The parts of a config that most families share with Llama: names, attention heads, activation.

use crate::config::{Config, ConfigError, LARGEST, Result};
use crate::names::{Names, Part};
use crate::{Activation, AttentionSpec, DecoderSpec, MlpSpec, NormSpec, Positions, Topology};

/// The names that Llama introduced and most families use.
static LLAMA_NAMES: Names = Names {
    base: "model.",
    embedding: "model.embed_tokens",
    positions: None,
    blocks: "model.layers.",
    parts: &[
        ("input_layernorm", &[Part::Norm(0)]),
        ("self_attn.q_proj", &[Part::Query]),
        ("self_attn.k_proj", &[Part::Key]),
        ("self_attn.v_proj", &[Part::Value]),
        ("self_attn.q_norm", &[Part::QueryNorm]),
        ("self_attn.k_norm", &[Part::KeyNorm]),
        ("self_attn.o_proj", &[Part::Output]),
        ("attn_shortcut_Q", &[Part::Shortcut(0)]),
        ("post_attention_layernorm", &[Part::Norm(1)]),
        ("mlp.gate_proj", &[Part::Gate]),
        ("mlp.up_proj", &[Part::Up]),
        ("mlp.down_proj", &[Part::Down]),
        ("mlp_shortcut_Q", &[Part::Shortcut(1)]),
    ],
    norm: "model.norm",
    head: "lm_head",
    intermediate_size: "intermediate_size",
    norm_eps: Some("rms_norm_eps"),
};

/// A decoder as Llama defined it: RMSNorm, rotary positions over the first `rotary(head_dim)`
/// dimensions of each head, gated MLP, no biases. Families derived from it change what
/// differs.
///
/// `context_length` is that of a config that does not say it.
pub fn llama_like_with(
    config: Config<'_>,
    model_type: &'static str,
    context_length: usize,
    rotary: impl FnOnce(usize) -> Result<usize>,
) -> Result<DecoderSpec> {
    let layers = config.layers()?;
    let context_length = config.context_length(context_length)?;
    let attention = heads(config, layers)?;
    let rope = config.rope(rotary(attention.head_dim)?, context_length)?;
    Ok(DecoderSpec {
        model_type,
        names: &LLAMA_NAMES,
        vocab_size: config.count("vocab_size")?,
        hidden_size: config.width("hidden_size")?,
        layers,
        context_length,
        norm: NormSpec {
            centers: false,
            weight: true,
            bias: false,
            eps: config.positive_or_none("rms_norm_eps")?.unwrap_or(1e-6),
        },
        attention,
        mlp: MlpSpec {
            intermediate_size: config.width("intermediate_size")?,
            activation: activation(config, "hidden_act", "silu")?,
            gated: true,
            input_bias: false,
            output_bias: false,
        },
        positions: Positions::Rotary(rope),
        topology: Topology::Sequential,
        tied: config.flag("tie_word_embeddings", false)?,
        width_of_heads: false,
        head_bias: false,
        slicing: None,
    })
}

/// [`llama_like_with`] rotary positions over whole heads.
pub fn llama_like(
    config: Config<'_>,
    model_type: &'static str,
    context_length: usize,
) -> Result<DecoderSpec> {
    llama_like_with(config, model_type, context_length, Ok)
}

/// Heads without biases, norms and windows.
pub fn heads(config: Config<'_>, layers: usize) -> Result<AttentionSpec> {
    let hidden_size = config.width("hidden_size")?;
    let heads = config.width("num_attention_heads")?;
    let kv_heads = config.width_or_none("num_key_value_heads")?.unwrap_or(heads);
    let head_dim = match config.width_or_none("head_dim")? {
        Some(head_dim) => head_dim,
        None if hidden_size.is_multiple_of(heads) => hidden_size / heads,
        None => {
            return Err(ConfigError::Refused(format!(
                "hidden_size {hidden_size} is not a multiple of num_attention_heads {heads}, and \
                 head_dim is not given"
            )));
        }
    };
    if heads.checked_mul(head_dim).is_none_or(|width| width > LARGEST) {
        return Err(ConfigError::Refused(format!(
            "num_attention_heads {heads} of head_dim {head_dim} are wider together than {LARGEST}"
        )));
    }
    if !heads.is_multiple_of(kv_heads) {
        return Err(ConfigError::Refused(format!(
            "num_attention_heads {heads} is not a multiple of num_key_value_heads {kv_heads}"
        )));
    }
    Ok(AttentionSpec {
        heads,
        kv_heads,
        head_dim,
        input_bias: false,
        output_bias: false,
        head_norm: None,
        windows: vec![None; layers],
    })
}

pub fn activation(config: Config<'_>, field: &str, default: &str) -> Result<Activation> {
    let name = config.text(field)?.unwrap_or(default);
    Activation::from_name(name).ok_or_else(|| ConfigError::Invalid {
        field: field.into(),
        found: format!("`{name}`"),
        expected: "one of silu, relu, gelu, gelu_new, gelu_fast, gelu_pytorch_tanh".into(),
    })
}
