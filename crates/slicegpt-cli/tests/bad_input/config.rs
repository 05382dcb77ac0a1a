//! `config.json`: missing, not JSON, or not the config of a supported decoder.

use serde_json::{Value, json};

use crate::sandbox::{ALL, Sandbox, check_commands, check_damages, none};

#[test]
fn a_directory_without_a_config_is_refused() {
    let sandbox = Sandbox::new("families/llama2");
    sandbox.remove("dense/config.json");
    // Neither a missing path nor a file is a directory.
    for (model, says) in [
        ("dense", &["dense", "config.json"][..]),
        ("nowhere", &["nowhere", "directory"]),
        ("tokens.safetensors", &["tokens.safetensors", "directory"]),
    ] {
        let rows: Vec<_> = ALL.iter().map(|c| (c.replacen("dense", model, 1), says)).collect();
        check_commands(&sandbox, &rows);
    }
}

#[test]
fn a_config_that_is_not_an_object_is_refused() {
    let write =
        |text: &'static str| move |sandbox: &Sandbox| sandbox.write("dense/config.json", text);
    let nested = "[".repeat(100_000);
    let deep = |sandbox: &Sandbox| sandbox.write("dense/config.json", &nested);
    let not_text = |sandbox: &Sandbox| sandbox.write("dense/config.json", b"{\"a\": \"\xff\"}");
    let not_json: &[&str] = &["dense/config.json", "not valid JSON"];
    let object: &[&str] = &["dense/config.json", "a JSON object"];
    check_damages(
        "families/llama2",
        ALL,
        &[
            (&write(""), not_json),
            (&write("{"), not_json),
            (&write("{} {}"), not_json),
            (&write("model_type: llama"), not_json),
            (&write("{\"model_type\": \"llama\", \"rope_theta\": 1e999}"), not_json),
            (&deep, not_json),
            (&not_text, &["dense/config.json", "UTF-8"]),
            (&write("[]"), object),
            (&write("null"), object),
            (&write("\"llama\""), object),
            (&write("{}"), &["dense/config.json", "`model_type` is missing"]),
        ],
    );
}

/// Sets fields (`null` removes one) in the config of `case`. Every error must name the field and
/// contain `says`.
fn check_fields(case: &str, commands: &[&str], rows: &[(&str, Value, &str)]) {
    let mut complaints = Vec::new();
    for (field, value, says) in rows {
        let sandbox = Sandbox::new(case);
        sandbox.json("dense/config.json", |config| {
            let fields = config.as_object_mut().unwrap();
            match value {
                Value::Null => drop(fields.remove(*field)),
                value => drop(fields.insert((*field).into(), value.clone())),
            }
        });
        let says = &["dense/config.json", says];
        let run = |c: &&str| {
            let complaint = sandbox.complaint(sandbox.slicegpt(".", c), says)?;
            Some(format!("{field} = {value}: {complaint}"))
        };
        complaints.extend(commands.iter().filter_map(run));
    }
    none(&complaints);
}

#[test]
fn sizes_are_whole_numbers_within_limits() {
    let bad = [
        json!("32"),
        json!(-32),
        json!(0),
        json!(1_u64 << 40),
        json!(1e300),
        json!(32.5),
        json!(true),
        json!([32]),
        json!({}),
    ];
    let fields = |names: &[&'static str]| -> Vec<(&'static str, Value, &'static str)> {
        let rows = names.iter().flat_map(|name| bad.iter().map(|bad| (*name, bad.clone(), *name)));
        rows.collect()
    };
    let plan = &["plan dense"];
    let shared = [
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "vocab_size",
        "max_position_embeddings",
    ];
    check_fields("families/llama2", plan, &fields(&shared));
    check_fields(
        "families/llama2",
        plan,
        &fields(&["num_key_value_heads", "intermediate_size", "head_dim"]),
    );
    check_fields("families/opt", plan, &fields(&shared));
    check_fields("families/opt", plan, &fields(&["ffn_dim", "word_embed_proj_dim"]));
    // A window wider than any context has no effect.
    let mut windows = fields(&["sliding_window"]);
    windows.retain(|(_, bad, _)| bad.as_u64() != Some(1 << 40));
    check_fields("families/mistral", plan, &windows);
}

/// As in transformers, which has a default; conversions of Llama 1 have another name.
#[test]
fn a_config_need_not_say_how_long_a_sequence_may_be() {
    for (family, field, want) in [
        ("families/llama2", None, 2048),
        ("families/mistral", None, 131_072),
        ("families/opt", None, 2048),
        ("families/llama2", Some(512), 512),
    ] {
        let sandbox = Sandbox::new(family);
        sandbox.json("dense/config.json", |config| {
            config.as_object_mut().unwrap().remove("max_position_embeddings");
            if let Some(length) = field {
                config["max_sequence_length"] = json!(length);
            }
        });
        let run = sandbox.slicegpt(".", "plan dense --json").succeed();
        assert!(run.stderr.contains("max_position_embeddings"), "{}", run.stderr);
        assert!(run.stderr.contains(&format!("taking {want} tokens")), "{}", run.stderr);
    }
}

#[test]
fn fields_that_are_missing_or_wrong_are_named() {
    let rope = |value: Value| ("rope_scaling", value);
    let row = |(field, value): (&'static str, Value), says| (field, value, says);
    let rows = [
        ("hidden_size", Value::Null, "`hidden_size` is missing"),
        ("num_hidden_layers", Value::Null, "`num_hidden_layers` is missing"),
        ("num_attention_heads", Value::Null, "`num_attention_heads` is missing"),
        ("intermediate_size", Value::Null, "`intermediate_size` is missing"),
        ("vocab_size", Value::Null, "`vocab_size` is missing"),
        ("model_type", json!(7), "model_type"),
        (
            "model_type",
            json!("mamba"),
            "mamba; supported model types: llama, mistral, qwen2, qwen3, opt, phi, phi3",
        ),
        ("quantization_config", json!({ "quant_method": "gptq" }), "quantization_config"),
        ("hidden_act", json!("tanh"), "hidden_act"),
        ("hidden_act", json!(1), "hidden_act"),
        ("tie_word_embeddings", json!("yes"), "tie_word_embeddings"),
        ("attention_bias", json!(0), "attention_bias"),
        ("num_key_value_heads", json!(3), "num_key_value_heads"),
        ("head_dim", json!(7), "even"),
        ("rms_norm_eps", json!("1e-6"), "rms_norm_eps"),
        ("rope_theta", json!("1000"), "rope_theta"),
        ("rope_theta", json!([1000]), "rope_theta"),
        row(rope(json!("linear")), "rope_scaling"),
        row(rope(json!({ "rope_type": "spiral", "factor": 2.0 })), "`spiral`"),
        row(rope(json!({ "rope_type": 2 })), "rope_type"),
        row(rope(json!({ "rope_type": "linear" })), "factor"),
        row(rope(json!({ "rope_type": "linear", "factor": "2" })), "factor"),
        row(rope(json!({ "rope_type": "llama3", "factor": 8.0 })), "low_freq_factor"),
        row(
            rope(json!({ "rope_type": "longrope", "short_factor": [1], "long_factor": [1] })),
            "short_factor",
        ),
    ];
    check_fields("families/llama2", ALL, &rows);
    let rows = [
        ("word_embed_proj_dim", json!(16), "opt-350m"),
        ("do_layer_norm_before", json!(false), "opt-350m"),
        ("_remove_final_layer_norm", json!(true), "_remove_final_layer_norm"),
        ("activation_function", json!("tanh"), "activation_function"),
    ];
    check_fields("families/opt", ALL, &rows);
    let rows = [
        ("qk_layernorm", json!(true), "qk_layernorm"),
        ("partial_rotary_factor", json!(0), "partial_rotary_factor"),
        ("partial_rotary_factor", json!(1.5), "partial_rotary_factor"),
    ];
    check_fields("families/phi", ALL, &rows);
    let rows = [("layer_types", json!(["full_attention"]), "layer_types")];
    check_fields("families/qwen3", ALL, &rows);
    check_damages("families/opt-350m-shape", ALL, &[(&|_| (), &["dense/config.json", "opt-350m"])]);
}

/// Numbers that make every angle or every norm a NaN are refused: attention would turn them into
/// finite nonsense.
#[test]
fn numbers_that_lead_to_nan_are_named() {
    let rope = |kind: &str, factor: f64| json!({ "rope_type": kind, "factor": factor });
    let rows = [
        ("rms_norm_eps", json!(-1), "rms_norm_eps"),
        ("rope_theta", json!(0), "rope_theta"),
        ("rope_theta", json!(-1000), "rope_theta"),
        ("rope_scaling", rope("linear", 0.0), "factor"),
        ("rope_scaling", rope("linear", -2.0), "factor"),
        ("rope_scaling", rope("dynamic", 0.0), "factor"),
        ("rope_scaling", rope("yarn", 0.0), "factor"),
    ];
    check_fields("families/llama2", &["plan dense"], &rows);
}
