//! The metadata of a file as the `config.json` of a Hugging Face checkpoint.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::keys::Keys;
use super::rope::{Divisors, RopeFields, rope};
use crate::error::Result;
use crate::file::{GgufFile, StoredTensor};

/// The tensors of all parts of a model by name.
pub(super) type Tensors<'a> = BTreeMap<&'a str, &'a StoredTensor>;

/// A `config.json`, and whether the file has its rotary positions as tensors of divisors.
pub(super) struct Config {
    pub json: Value,
    pub rotated: usize,
}

/// Roles of tokens in `config.json`, and their keys in the file.
pub(super) const ROLES: &[(&str, &str)] = &[
    ("bos", "tokenizer.ggml.bos_token_id"),
    ("eos", "tokenizer.ggml.eos_token_id"),
    ("pad", "tokenizer.ggml.padding_token_id"),
];

/// Reads the metadata of `file` as a model of `architecture`. The weights are of type `dtype`.
pub(super) fn config(
    file: &GgufFile,
    architecture: &str,
    tensors: &Tensors<'_>,
    divisors: &Divisors,
    dtype: &str,
) -> Result<Config> {
    let keys = Keys::new(file, architecture)?;
    let hidden_size = keys.needed("embedding_length")?;
    let heads = keys.needed("attention.head_count")?;
    let kv_heads = keys.count("attention.head_count_kv")?.unwrap_or(heads);
    let context = keys.needed("context_length")?;
    if heads == 0 || context == 0 {
        return Err(file.wrong("it has no attention heads, or no context"));
    }
    let head_dim = keys.count("attention.key_length")?.unwrap_or(hidden_size / heads);
    if keys.count("attention.value_length")?.is_some_and(|length| length != head_dim) {
        return Err(file.wrong("its heads have keys and values of different lengths"));
    }
    let Some(embedding) = tensors.get("token_embd.weight") else {
        return Err(file.wrong("tensor `token_embd.weight` is missing"));
    };
    let rope = rope(&keys, divisors, head_dim as usize, context)?;
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| {
        fields.insert(name.into(), value);
    };
    let epsilon = match architecture {
        "phi2" => "attention.layer_norm_epsilon",
        _ => "attention.layer_norm_rms_epsilon",
    };
    let eps = keys.number(epsilon)?.ok_or_else(|| keys.missing(epsilon))?;
    put("hidden_size", hidden_size.into());
    put("intermediate_size", keys.needed("feed_forward_length")?.into());
    put("num_hidden_layers", keys.needed("block_count")?.into());
    put("num_attention_heads", heads.into());
    put("num_key_value_heads", kv_heads.into());
    put("vocab_size", embedding.shape[0].into());
    put("max_position_embeddings", context.into());
    put("tie_word_embeddings", (!tensors.contains_key("output.weight")).into());
    put("rope_theta", rope.theta.into());
    put("torch_dtype", dtype.into());
    for (role, key) in ROLES {
        let id = file.count(key)?.filter(|id| *id < embedding.shape[0] as u64);
        put(&format!("{role}_token_id"), id.map_or(Value::Null, Value::from));
    }
    let own = family(file, architecture, tensors, &keys, head_dim, eps)?;
    let is_partial = matches!(architecture, "phi2" | "phi3");
    if !is_partial && rope.rotated as u64 != head_dim {
        return Err(file.wrong(format!(
            "it rotates {} of {head_dim} dimensions of a head, and {architecture} rotates all",
            rope.rotated
        )));
    }
    fields.extend(own);
    if is_partial {
        let fraction = rotary_fraction(rope.rotated, head_dim as usize);
        fields.insert("partial_rotary_factor".into(), fraction.into());
    }
    let rotated = rope.rotated;
    scaling(&mut fields, rope, architecture, context);
    Ok(Config { json: Value::Object(fields), rotated })
}

/// The fields in which families differ.
fn family(
    file: &GgufFile,
    architecture: &str,
    tensors: &Tensors<'_>,
    keys: &Keys<'_>,
    head_dim: u64,
    eps: f64,
) -> Result<Map<String, Value>> {
    let has = |part: &str| tensors.contains_key(format!("blk.0.{part}.bias").as_str());
    let all = |parts: &[&str]| parts.iter().all(|part| has(part));
    let none = |parts: &[&str]| !parts.iter().any(|part| has(part));
    let (inputs, mlp) = (["attn_q", "attn_k", "attn_v"], ["ffn_gate", "ffn_up", "ffn_down"]);
    let qwen2 = || {
        json!({
            "model_type": "qwen2",
            "architectures": ["Qwen2ForCausalLM"],
            "rms_norm_eps": eps,
            "hidden_act": "silu",
            "head_dim": head_dim,
            "use_sliding_window": false,
        })
    };
    let value = match architecture {
        // A Qwen2 with a narrower stream is written as a Llama.
        "llama" if all(&inputs) && none(&["attn_output"]) && none(&mlp) => qwen2(),
        "llama" => {
            let attention = [&inputs[..], &["attn_output"]].concat();
            for parts in [&attention[..], &mlp[..]] {
                if !all(parts) && !none(parts) {
                    let reason = format!("only some of {} have biases", parts.join(", "));
                    return Err(file.wrong(reason));
                }
            }
            json!({
                "model_type": "llama",
                "architectures": ["LlamaForCausalLM"],
                "rms_norm_eps": eps,
                "hidden_act": "silu",
                "head_dim": head_dim,
                "attention_bias": all(&attention),
                "mlp_bias": all(&mlp),
            })
        }
        "qwen2" => qwen2(),
        "qwen3" => json!({
            "model_type": "qwen3",
            "architectures": ["Qwen3ForCausalLM"],
            "rms_norm_eps": eps,
            "hidden_act": "silu",
            "head_dim": head_dim,
            "attention_bias": false,
            "use_sliding_window": false,
        }),
        "phi3" => {
            let window = keys.count("attention.sliding_window")?.filter(|window| *window > 0);
            json!({
                "model_type": "phi3",
                "architectures": ["Phi3ForCausalLM"],
                "rms_norm_eps": eps,
                "hidden_act": "silu",
                "sliding_window": window,
            })
        }
        "phi2" => json!({
            "model_type": "phi",
            "architectures": ["PhiForCausalLM"],
            "layer_norm_eps": eps,
            "hidden_act": "gelu_new",
            "qk_layernorm": false,
        }),
        other => return Err(file.wrong(format!("no family is known for architecture `{other}`"))),
    };
    match value {
        Value::Object(map) => Ok(map),
        _ => unreachable!("it was just made an object"),
    }
}

/// The fraction of which `head_dim` times it, rounded down, is `rotated`.
fn rotary_fraction(rotated: usize, head_dim: usize) -> f64 {
    let fraction = rotated as f64 / head_dim as f64;
    if (head_dim as f64 * fraction) as usize == rotated {
        fraction
    } else {
        fraction * (1.0 + f64::EPSILON)
    }
}

/// Adds the scaling of the positions.
fn scaling(fields: &mut Map<String, Value>, rope: RopeFields, architecture: &str, context: u64) {
    let mut scaling = rope.scaling;
    if let Some(scaling) = scaling.as_mut().filter(|map| map["rope_type"] == "longrope") {
        match rope.original.filter(|_| rope.is_long) {
            // transformers reads it from there.
            Some(original) => {
                fields.insert("original_max_position_embeddings".into(), original.into());
            }
            None if architecture != "phi3" => {
                scaling.insert("factor".into(), 1.0.into());
                scaling.insert("original_max_position_embeddings".into(), context.into());
            }
            None => {
                fields.insert("original_max_position_embeddings".into(), context.into());
            }
        }
        if architecture == "phi3" {
            // Its config takes this name, and no key beyond the lists.
            scaling.remove("rope_type");
            scaling.insert("type".into(), "longrope".into());
        }
    }
    fields.insert("rope_scaling".into(), scaling.map_or(Value::Null, Value::Object));
}
