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

/// transformers reads the original length inside the rotary parameters or outside of them, by the
/// kind of scaling and by its own version.
#[test]
fn the_length_of_the_original_training_is_read_from_both_places() {
    let rope = |outer: Value, scaling: Value| {
        let outer = json!({ "original_max_position_embeddings": outer, "rope_scaling": scaling });
        parse(&config(outer)).map(|spec| match spec.positions {
            Positions::Rotary(rope) => rope.scaling,
            _ => panic!("rotary positions"),
        })
    };
    let llama3 = json!({
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    });
    let yarn = json!({ "rope_type": "yarn", "factor": 4.0 });
    let longrope = json!({
        "rope_type": "longrope", "short_factor": [1, 1, 1, 1], "long_factor": [2, 2, 2, 2],
    });
    for scaling in [llama3, yarn, longrope] {
        let mut with_inner = scaling.clone();
        with_inner["original_max_position_embeddings"] = json!(16);
        let found = rope(json!(16), scaling.clone()).unwrap();
        assert_eq!(rope(Value::Null, with_inner.clone()).unwrap(), found);
        assert_eq!(rope(json!(16), with_inner.clone()).unwrap(), found);
        let error = rope(json!(32), with_inner).unwrap_err().to_string();
        assert!(error.contains("is 16 in the rotary parameters and 32 outside"), "{error}");
    }
}

/// Of two factors of longrope, transformers 4 and 5 take different ones.
#[test]
fn two_factors_of_longrope_are_refused() {
    let parse = |factor: f64, family: &str, inner: Value| {
        let scaling = json!({
            "rope_type": "longrope", "short_factor": [1, 1, 1, 1], "long_factor": [2, 2, 2, 2],
            "factor": factor, "original_max_position_embeddings": inner,
        });
        let outer = if family == "llama" { json!(16) } else { Value::Null };
        parse(&config(json!({
            "model_type": family, "rope_scaling": scaling,
            "original_max_position_embeddings": outer,
        })))
    };
    assert!(parse(4.0, "llama", Value::Null).is_ok());
    let error = parse(2.0, "llama", Value::Null).unwrap_err().to_string();
    assert!(error.contains("`factor` of longrope is 2, and"), "{error}");
    // The class of Phi-3 has 4096 where the config says nothing.
    assert!(parse(1.0, "phi3", Value::Null).is_ok());
    let error = parse(1.0, "phi3", json!(16)).unwrap_err().to_string();
    assert!(error.contains("is 16 in the rotary parameters and 4096 outside"), "{error}");
}

#[test]
fn a_model_that_sees_later_tokens_is_refused() {
    for family in ["llama", "mistral", "qwen2", "qwen3", "opt", "phi", "phi3"] {
        let mut changes = json!({ "model_type": family, "is_causal": false });
        changes["ffn_dim"] = json!(48);
        let error = parse(&config(changes)).unwrap_err().to_string();
        assert!(error.contains("`is_causal` is false"), "{family}: {error}");
    }
    assert!(parse(&config(json!({ "is_causal": true }))).is_ok());
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
