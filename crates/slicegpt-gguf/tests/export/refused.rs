//! Models that llama.cpp cannot express are refused with the reason.

use serde_json::{Value, json};
use slicegpt_core::Widths;
use slicegpt_models::DecoderSpec;

use crate::{config, plan, spec};

#[track_caller]
fn check(spec: &DecoderSpec, words: &[&str]) {
    let error = plan(spec).err().expect("it is refused").to_string();
    for words in words {
        assert!(error.contains(words), "{error}");
    }
}

fn changed(name: &str, field: &str, value: Value) -> DecoderSpec {
    slicegpt_models::parse(&config(name, |config| config[field] = value)).unwrap()
}

#[test]
fn models_that_left_their_family() {
    let dense = spec("llama2");
    let widths = Widths::new(vec![24; dense.cuts()], dense.cuts(), 32).unwrap();
    check(&dense.in_per_layer_bases(widths), &["shortcut matrix"]);
    check(&dense.in_shared_basis_with_widths(24, vec![40, 48], false), &["different widths"]);
}

#[test]
fn families_without_an_architecture() {
    for name in ["opt", "phi"] {
        check(&spec(name), &["llama, mistral, qwen2, qwen3, phi3", &format!("`{name}`")]);
    }
}

#[test]
fn variants_without_an_architecture() {
    check(&changed("llama2", "hidden_act", json!("gelu")), &["not gated by SiLU"]);
    check(&changed("qwen3", "attention_bias", json!(true)), &["no bias for Output"]);
    let llama3 = json!({
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 32
    });
    check(&changed("qwen3", "rope_scaling", llama3), &["qwen3 has no rope scaling llama3"]);
    let yarn = json!({
        "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16, "beta_fast": 8.0
    });
    check(&changed("qwen3", "rope_scaling", yarn), &["qwen3 has no rope scaling yarn"]);
}
