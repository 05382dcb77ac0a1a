//! Configs as they are on the Hub, where an absent field or a variant has a meaning.

use serde_json::{Value, json};
use slicegpt_models::{Positions, parse};

/// A Llama-like config with `changes`.
fn config(changes: Value) -> Value {
    let mut config = json!({
        "model_type": "llama", "hidden_size": 32, "num_hidden_layers": 2,
        "num_attention_heads": 4, "intermediate_size": 48, "vocab_size": 64,
        "max_position_embeddings": 64,
    });
    for (field, value) in changes.as_object().unwrap() {
        config[field] = value.clone();
    }
    config
}

#[test]
fn partial_rotary_positions_have_their_own_longrope() {
    // As Phi-4-mini has them: 0.75 of heads of 128 rotate, with one factor per frequency.
    let factors = vec![1.5; 48];
    let spec = parse(&config(json!({
        "model_type": "phi3", "hidden_size": 512, "partial_rotary_factor": 0.75,
        "original_max_position_embeddings": 16,
        "rope_scaling": { "type": "longrope", "short_factor": factors, "long_factor": factors },
    })))
    .unwrap();
    let Positions::Rotary(rope) = &spec.positions else { panic!("rotary positions") };
    assert_eq!((spec.attention.head_dim, rope.dim), (128, 96));
    assert_eq!(rope.frequencies(64).0.len(), 48);
}

#[test]
fn absence_means_what_it_means_to_transformers() {
    let windows = |changes| parse(&config(changes)).unwrap().attention.windows;
    assert_eq!(windows(json!({ "model_type": "mistral" })), [Some(4096); 2]);
    assert_eq!(windows(json!({ "model_type": "mistral", "sliding_window": null })), [None; 2]);
    assert_eq!(windows(json!({ "model_type": "phi3" })), [None; 2]);
    assert_eq!(windows(json!({ "model_type": "qwen2", "sliding_window": 8 })), [None; 2]);
    let upper = json!({
        "model_type": "qwen2", "sliding_window": 8, "use_sliding_window": true,
        "max_window_layers": 1,
    });
    assert_eq!(windows(upper), [None, Some(8)]);
    let eps = |model_type| parse(&config(json!({ "model_type": model_type }))).unwrap().norm.eps;
    assert_eq!((eps("llama"), eps("phi3")), (1e-6, 1e-5));
}

#[test]
fn another_model_under_a_known_name_is_refused() {
    for (changes, words) in [
        (json!({ "architectures": ["BitnetForCausalLM"] }), "BitnetForCausalLM"),
        (
            json!({ "rope_parameters": { "full_attention": { "rope_theta": 1e6 } } }),
            "from layer to layer",
        ),
        (json!({ "quantization_config": { "bits": 4 } }), "quantised"),
    ] {
        let error = parse(&config(changes)).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    for class in ["LlamaForCausalLM", "LLaMAForCausalLM"] {
        assert!(parse(&config(json!({ "architectures": [class] }))).is_ok(), "{class}");
    }
}
