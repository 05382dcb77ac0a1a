//! Rotary positions: llama.cpp must compute from the metadata what the model computes.

use serde_json::{Value, json};
use slicegpt_models::{DecoderSpec, Positions};
use slicegpt_testkit::Gguf;

use crate::{config, plan, written};

fn number(file: &Gguf, key: &str) -> Option<f64> {
    file.metadata.get(key).and_then(Value::as_f64)
}

/// The frequencies of each pair of dimensions for a sequence of `length` tokens, and the factor of
/// cosine and sine, as llama.cpp's `ggml_rope_ext` computes them, in the precision of the file.
fn llama_cpps(file: &Gguf, length: usize) -> (Vec<f64>, f64) {
    let architecture = file.metadata["general.architecture"].as_str().unwrap();
    let get = |key: &str| number(file, &format!("{architecture}.rope.{key}"));
    let dimensions = get("dimension_count").unwrap();
    let kind = file.metadata.get(&format!("{architecture}.rope.scaling.type"));
    let kind = kind.and_then(Value::as_str).unwrap_or("none");
    let original = get("scaling.original_context_length");
    let list = match original {
        Some(original) if length as f64 > original => "rope_factors_long.weight",
        Some(_) => "rope_factors_short.weight",
        None => "rope_freqs.weight",
    };
    let list = file.tensors.contains_key(list).then(|| file.f32s(list));
    let (base, scale) = (get("freq_base").unwrap(), 1.0 / get("scaling.factor").unwrap_or(1.0));
    let end = |turns: f64| {
        let original = original.unwrap_or(1.0);
        dimensions * (original / (turns * std::f64::consts::TAU)).ln() / (2.0 * base.ln())
    };
    let (low, high) = (end(32.0).floor().max(0.0), end(1.0).ceil().min(dimensions - 1.0));
    let frequency = |i: usize| {
        let plain = base.powf(-2.0 * i as f64 / dimensions);
        let plain = list.as_ref().map_or(plain, |list| plain / f64::from(list[i]));
        let extrapolated = match kind {
            "yarn" => 1.0 - ((i as f64 - low) / (high - low).max(0.001)).clamp(0.0, 1.0),
            _ => 0.0,
        };
        plain * (scale * (1.0 - extrapolated) + extrapolated)
    };
    let own = if kind == "yarn" { 1.0 - 0.1 * scale.ln() } else { 1.0 };
    let frequencies = (0..dimensions as usize / 2).map(frequency).collect();
    (frequencies, own * get("scaling.attn_factor").unwrap_or(1.0))
}

#[track_caller]
fn check_alike(spec: &DecoderSpec, architecture: &str) {
    let Positions::Rotary(rope) = &spec.positions else { panic!("rotary positions") };
    let (file, _) = written(spec);
    assert_eq!(file.metadata["general.architecture"], architecture);
    for length in [4, 40] {
        let (ours, attention) = rope.frequencies(length);
        let (theirs, their_attention) = llama_cpps(&file, length);
        assert!((attention / their_attention - 1.0).abs() < 1e-6, "{attention} {their_attention}");
        for (i, frequency) in theirs.iter().enumerate() {
            let right = ours.get(i).copied().unwrap_or(0.0);
            assert!(
                (frequency - right).abs() < 1e-6 * right.max(1e-6),
                "pair {i}: {frequency} {right}"
            );
        }
    }
}

fn with(name: &str, scaling: Value) -> DecoderSpec {
    slicegpt_models::parse(&config(name, |config| config["rope_scaling"] = scaling)).unwrap()
}

#[test]
fn scalings_keep_their_frequencies() {
    let yarn =
        json!({ "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16 });
    let mut own = yarn.clone();
    own["beta_fast"] = json!(8.0);
    own["attention_factor"] = json!(1.2);
    let mut attention = yarn.clone();
    attention["attention_factor"] = json!(1.3);
    let llama3 = json!({
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 32
    });
    let linear = json!({ "rope_type": "linear", "factor": 3.0 });
    for scaling in
        [Value::Null, yarn.clone(), own, attention.clone(), llama3.clone(), linear.clone()]
    {
        check_alike(&with("llama2", scaling), "llama");
    }
    for scaling in [Value::Null, yarn, attention, linear] {
        check_alike(&with("qwen2", scaling.clone()), "qwen2");
        check_alike(&with("qwen3", scaling), "qwen3");
    }
    // Where an architecture lacks a scaling, another may have it.
    check_alike(&with("qwen2", llama3), "llama");
}

#[test]
fn longrope_and_partial_rotation_keep_their_frequencies() {
    let longrope = |pairs: usize| {
        json!({
            "type": "longrope",
            "long_factor": (0..pairs).map(|i| 1.5 + i as f64).collect::<Vec<_>>(),
            "short_factor": (0..pairs).map(|i| 1.1 + 0.1 * i as f64).collect::<Vec<_>>(),
        })
    };
    let mut cases = vec![with("phi3-longrope", longrope(4)), with("phi4-mini", Value::Null)];
    let partial = config("phi4-mini", |config| {
        config["rope_scaling"] = longrope(3);
        config["original_max_position_embeddings"] = json!(16);
    });
    cases.push(slicegpt_models::parse(&partial).unwrap());
    cases.push(with("phi4-mini", json!({ "rope_type": "linear", "factor": 3.0 })));
    let yarn = config("phi4-mini", |config| {
        config["rope_scaling"] = json!({ "rope_type": "yarn", "factor": 4.0 });
        config["original_max_position_embeddings"] = json!(16);
    });
    cases.push(slicegpt_models::parse(&yarn).unwrap());
    for spec in cases {
        check_alike(&spec, "phi3");
        check_alike(&spec.in_shared_basis(24, 40, spec.tied), "llama");
    }
}

/// llama.cpp scales the unrotated dimensions too, so that their rows are divided by the factor.
#[test]
fn unrotated_dimensions_keep_their_size() {
    let partial = config("phi4-mini", |config| {
        config["rope_scaling"] = json!({
            "type": "longrope", "long_factor": [1.0, 2.0, 3.0], "short_factor": [1.0, 1.0, 1.0]
        });
        config["original_max_position_embeddings"] = json!(16);
    });
    let spec = slicegpt_models::parse(&partial).unwrap().in_shared_basis(24, 40, true);
    let (file, source) = written(&spec);
    let attention = file.metadata["llama.rope.scaling.attn_factor"].as_f64().unwrap() as f32;
    assert!(attention > 1.1, "{attention}");
    let values = file.f32s("blk.0.attn_q.weight");
    let right = |row: usize| source.value("model.layers.0.self_attn.qkv_proj.weight", row);
    // Heads of 8, 6 rotated: pairs (0, 3), (1, 4), (2, 5), then 6 and 7.
    let expected = [right(0), right(3), right(1), right(4), right(2), right(5)];
    let still = [right(6), right(7)].map(|x| x * (1.0 / attention));
    for (row, x) in expected.into_iter().chain(still).enumerate() {
        assert!((values[24 * row] - x).abs() < 1e-5, "row {row}: {} {x}", values[24 * row]);
    }
}

#[test]
fn differences_are_noted() {
    for (name, words) in [
        ("mistral", "2 of 2 layers attend to 8 tokens"),
        ("qwen2-window", "2 of 3 layers attend to 8 tokens"),
        ("phi3-window", "2 of 2 layers"),
        ("llama-dynamic", "up to 64 tokens"),
    ] {
        let export = plan(&crate::spec(name)).unwrap();
        assert!(export.notes().iter().any(|note| note.contains(words)), "{:?}", export.notes());
    }
    for name in ["llama2", "qwen2", "phi3"] {
        assert!(plan(&crate::spec(name)).unwrap().notes().is_empty(), "{name}");
    }
}
