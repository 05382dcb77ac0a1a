//! What llama.cpp cannot express: the reason, and what would work.

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
fn what_was_cut_in_our_own_way() {
    let dense = spec("llama2");
    let widths = Widths::new(vec![24; dense.cuts()], dense.cuts(), 32).unwrap();
    let again = "--method shared --align 256";
    check(&dense.in_per_layer_bases(widths), &["shortcut matrix", again]);
    check(
        &dense.in_shared_basis_with_widths(24, vec![40, 48], false),
        &["widths of their own", again],
    );
}

#[test]
fn families_that_llama_cpp_has_in_another_form_or_not_at_all() {
    for name in ["opt", "phi"] {
        check(&spec(name), &["llama, mistral, qwen2, qwen3, phi3", &format!("`{name}`")]);
    }
}

#[test]
fn variants_that_no_architecture_has() {
    check(&changed("llama2", "hidden_act", json!("gelu")), &["not gated by SiLU", "transformers"]);
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
