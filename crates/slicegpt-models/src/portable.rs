//! A sliced decoder for programs that do not know our families: its description as JSON, and the
//! Python code with which transformers runs it.
//!
//! The Python code is one decoder for all families. Names of tensors, layout of heads and widths of
//! the stream are data, which [`DecoderSpec::portable`] writes into `config.json`.

use serde_json::{Value, json};

use crate::names::Part;
use crate::rope::Scaling;
use crate::{Activation, DecoderSpec, Positions, Rope, Topology};

/// The Python files in a sliced checkpoint, by name.
pub const PYTHON: [(&str, &str); 2] = [
    ("configuration_slicegpt.py", include_str!("../python/configuration_slicegpt.py")),
    ("modeling_slicegpt.py", include_str!("../python/modeling_slicegpt.py")),
];

/// The class of [`PYTHON`] that is the whole model, as `architectures` of `config.json` names it.
pub const ARCHITECTURE: &str = "SliceGPTForCausalLM";

/// `auto_map` of `config.json`, by which transformers finds the classes of [`PYTHON`].
pub fn auto_map() -> Value {
    json!({
        "AutoConfig": "configuration_slicegpt.SliceGPTConfig",
        "AutoModel": "modeling_slicegpt.SliceGPTModel",
        "AutoModelForCausalLM": format!("modeling_slicegpt.{ARCHITECTURE}"),
    })
}

impl DecoderSpec {
    /// Everything the Python code needs besides weights, in fields that are the same for all
    /// families.
    pub fn portable(&self) -> Value {
        let windows = &self.attention.windows;
        json!({
            "vocab_size": self.vocab_size,
            "hidden_size": self.hidden_size,
            "widths": (0..self.cuts()).map(|cut| self.width(cut)).collect::<Vec<_>>(),
            "intermediate_sizes":
                (0..self.layers).map(|block| self.intermediate_size(block)).collect::<Vec<_>>(),
            "sublayers": match self.topology {
                Topology::Sequential => json!([["attention"], ["mlp"]]),
                Topology::Parallel => json!([["attention", "mlp"]]),
            },
            "shortcuts": self.slicing.as_ref().is_some_and(|slicing| slicing.shortcuts),
            "norm": {
                "centers": self.norm.centers,
                "eps": self.norm.eps,
                "last_weight": !self.norm_entries().is_empty(),
            },
            "heads": self.attention.heads,
            "kv_heads": self.attention.kv_heads,
            "head_dim": self.attention.head_dim,
            "head_norm_eps": self.attention.head_norm,
            "window": windows.iter().flatten().next(),
            "windowed": windows.iter().map(Option::is_some).collect::<Vec<_>>(),
            "activation": python_name(self.mlp.activation),
            "context_length": self.context_length,
            "rotary": match &self.positions {
                Positions::Rotary(rope) => portable_rope(rope),
                Positions::Learned { .. } => Value::Null,
            },
            "position_offset": match self.positions {
                Positions::Rotary(_) => None,
                Positions::Learned { offset } => Some(offset),
            },
            "tied": self.tied,
            "head_bias": self.head_bias,
            "names": {
                "embedding": self.names.embedding,
                "positions": self.names.positions.filter(|_| self.position_entry().is_some()),
                "blocks": self.names.blocks.trim_end_matches('.'),
                "norm": self.names.norm,
                "head": self.names.head,
            },
            "parts": self.portable_parts(),
        })
    }

    /// The tensors that a block has, by the family's names: which parts each of them holds, stacked
    /// by rows, and whether it has a bias.
    fn portable_parts(&self) -> Value {
        let entries = self.block_entries(0);
        let first = format!("{}0.", self.names.blocks);
        let has = |name: &str| entries.iter().any(|e| e.name.strip_prefix(&first) == Some(name));
        let parts = self.names.parts.iter().filter(|(name, _)| {
            // A shortcut is a bare parameter.
            has(name) || has(&format!("{name}.weight"))
        });
        let parts = parts.map(|(name, parts)| {
            let parts: Vec<String> = parts.iter().map(|part| part_name(*part)).collect();
            json!({ "name": name, "parts": parts, "bias": has(&format!("{name}.bias")) })
        });
        parts.collect()
    }
}

fn part_name(part: Part) -> String {
    match part {
        Part::Norm(sublayer) => format!("norm_{sublayer}"),
        Part::Query => "query".into(),
        Part::Key => "key".into(),
        Part::Value => "value".into(),
        Part::Output => "output".into(),
        Part::QueryNorm => "query_norm".into(),
        Part::KeyNorm => "key_norm".into(),
        Part::Gate => "gate".into(),
        Part::Up => "up".into(),
        Part::Down => "down".into(),
        Part::Shortcut(sublayer) => format!("shortcut_{sublayer}"),
    }
}

/// The name in `ACT2FN` of transformers.
fn python_name(activation: Activation) -> &'static str {
    match activation {
        Activation::Silu => "silu",
        Activation::Relu => "relu",
        Activation::Gelu => "gelu",
        Activation::GeluTanh => "gelu_pytorch_tanh",
    }
}

/// Frequencies as numbers, so that other programs need not implement the scalings; `long` holds
/// those for sequences longer than `beyond`. Dynamic scaling has different frequencies for every
/// length, so its parameters are written instead.
fn portable_rope(rope: &Rope) -> Value {
    let (frequencies, attention_factor) = rope.frequencies(1);
    let mut json = json!({ "frequencies": frequencies, "attention_factor": attention_factor });
    match &rope.scaling {
        Scaling::LongRope { original, .. } => {
            let (long, _) = rope.frequencies(original + 1);
            json["beyond"] = json!(original);
            json["long"] = json!(long);
        }
        Scaling::Dynamic { factor, context_length } => {
            json["dynamic"] =
                json!({ "theta": rope.theta, "factor": factor, "beyond": context_length });
        }
        Scaling::None | Scaling::Linear { .. } | Scaling::Llama3 { .. } | Scaling::Yarn { .. } => {}
    }
    json
}

#[cfg(test)]
mod tests {
    use slicegpt_core::Widths;

    use super::*;

    fn spec(config: Value) -> DecoderSpec {
        crate::parse(&config).unwrap()
    }

    #[test]
    fn a_sliced_decoder_is_described_by_numbers_and_names() {
        let dense = spec(json!({
            "model_type": "opt", "hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 1,
            "ffn_dim": 16, "vocab_size": 10, "max_position_embeddings": 4,
        }));
        let widths = Widths::new(vec![6, 5, 8], dense.cuts(), 8).unwrap();
        let portable = dense.in_per_layer_bases(widths).portable();
        assert_eq!(portable["widths"], json!([6, 5, 8]));
        assert_eq!(portable["position_offset"], 2);
        assert_eq!(portable["rotary"], Value::Null);
        assert_eq!(portable["tied"], false);
        assert_eq!(portable["head_bias"], true);
        let parts = portable["parts"].as_array().unwrap();
        let find = |name: &str| parts.iter().find(|part| part["name"] == name);
        assert_eq!(find("fc1").unwrap()["bias"], true);
        assert_eq!(find("attn_shortcut_Q").unwrap()["parts"], json!(["shortcut_0"]));
        assert!(find("final_layer_norm").is_none(), "its norms are bare");
    }

    #[test]
    fn packed_projections_and_long_frequencies_are_described() {
        let dense = spec(json!({
            "model_type": "phi3", "hidden_size": 8, "num_attention_heads": 2,
            "num_hidden_layers": 1, "intermediate_size": 16, "vocab_size": 10,
            "max_position_embeddings": 64, "original_max_position_embeddings": 32,
            "rope_scaling": {
                "type": "longrope", "short_factor": [1.0, 1.0], "long_factor": [2.0, 4.0],
            },
        }));
        let portable = dense.portable();
        let qkv = portable["parts"].as_array().unwrap().iter();
        let qkv = qkv.clone().find(|part| part["name"] == "self_attn.qkv_proj").unwrap();
        assert_eq!(qkv["parts"], json!(["query", "key", "value"]));
        assert_eq!(portable["rotary"]["beyond"], 32);
        let frequency = |list: &str, i: usize| portable["rotary"][list][i].as_f64().unwrap();
        assert_eq!(frequency("frequencies", 1), 4.0 * frequency("long", 1));
    }

    #[test]
    fn the_map_names_the_python_files() {
        let map = auto_map();
        for entry in map.as_object().unwrap().values() {
            let (module, class) = entry.as_str().unwrap().split_once('.').unwrap();
            let file = PYTHON.iter().find(|(name, _)| *name == format!("{module}.py"));
            let (_, code) = file.expect("a file for each module");
            assert!(code.contains(&format!("class {class}(")), "{class}");
        }
    }
}
