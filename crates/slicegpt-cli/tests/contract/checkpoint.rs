//! The written weights: names, shapes, types, shards, and the reported counts.

use std::collections::BTreeMap;

use safetensors::Dtype;
use serde_json::{Value, json};
use slicegpt_testkit::{Workshop, stored_bytes, stored_elements, stored_tensors};

/// Compresses the model of `workshop` to `out`.
fn compress(workshop: &Workshop, options: &str) -> Value {
    let tokens = "--calibration MODEL/expected.safetensors --samples 2";
    workshop.json(&format!("compress MODEL --out out --method per-layer {tokens} {options}"))
}

#[test]
fn counts_are_those_of_the_files() {
    for case in ["llama2", "opt", "opt-untied-gelu", "phi", "phi3", "qwen2", "qwen3", "llama-f16"] {
        let workshop = Workshop::new(&format!("families/{case}"));
        let dense = workshop.model("");
        let out = workshop.path("out");
        for options in ["", "--dtype bf16 --max-shard-size 20kB", "--sparsity 0.5 --slice-head"] {
            let result = compress(&workshop, &format!("{options} --force"));
            assert_eq!(result["params_before"], stored_elements(&dense), "{case}");
            assert_eq!(result["bytes_before"], stored_bytes(&dense), "{case}");
            assert_eq!(result["params_after"], stored_elements(&out), "{case} {options}");
            assert_eq!(result["bytes_after"], stored_bytes(&out), "{case} {options}");
            let [before, after] =
                ["params_before", "params_after"].map(|key| result[key].as_f64().unwrap());
            let reduction = result["real_reduction"].as_f64().unwrap();
            assert!((reduction - (1.0 - after / before)).abs() < 1e-12, "{case} {options}");
        }
    }
}

/// A tied head shares the matrix of the embedding. After a cut they are two matrices, because the
/// final norm is folded into the head.
#[test]
fn a_tied_head_counts_once_before_and_is_untied_after() {
    let workshop = Workshop::new("families/opt");
    let names = |tensors: &[(String, _, _)]| {
        tensors.iter().filter(|(name, ..)| name == "lm_head.weight").count()
    };
    assert_eq!(names(&stored_tensors(&workshop.model(""))), 0);
    let result = compress(&workshop, "--sparsity 0");
    assert_eq!(names(&stored_tensors(&workshop.path("out"))), 1);
    assert_eq!(workshop.read_json("out/config.json")["tie_word_embeddings"], false);
    assert!(result["real_reduction"].as_f64().unwrap() < 0.0, "it grows: {result}");
}

#[test]
fn the_type_stays_by_default() {
    for (case, options, dtype, name) in [
        ("llama-sharded", "", Dtype::BF16, "bfloat16"),
        ("llama-sharded", "--dtype f32", Dtype::F32, "float32"),
        ("llama-sharded", "--dtype f16", Dtype::F16, "float16"),
        ("llama2", "", Dtype::F32, "float32"),
        ("llama2", "--dtype bf16", Dtype::BF16, "bfloat16"),
        ("llama-f16", "", Dtype::F16, "float16"),
        ("opt-bin", "", Dtype::F16, "float16"),
    ] {
        let workshop = Workshop::new(&format!("families/{case}"));
        let result = compress(&workshop, options);
        assert_eq!(result["dtype"], name, "{case} {options}");
        let config = workshop.read_json("out/config.json");
        // The key that was there; there are two spellings.
        let spellings = ["dtype", "torch_dtype"].map(|key| config.get(key).cloned());
        assert!(spellings == [Some(json!(name)), None], "{case} {options}: {spellings:?}");
        for (tensor, info, _) in stored_tensors(&workshop.path("out")) {
            assert_eq!(info.dtype, dtype, "{case} {options}: {tensor}");
        }
        let inspected = workshop.json("inspect out");
        assert_eq!(inspected["dtype"], name, "{case} {options}");
    }
}

#[test]
fn shards_have_an_index_and_hold_the_same_model() {
    let workshop = Workshop::new("families/llama2");
    compress(&workshop, "");
    let single = workshop.perplexity("out");
    let whole: Vec<_> = stored_tensors(&workshop.path("out"));
    for (size, least) in [("1", whole.len()), ("20kB", 4), ("40000", 2), ("78000B", 2)] {
        let options = format!("--force --max-shard-size {size}");
        let result = compress(&workshop, &options);
        let out = workshop.path("out");
        let shards = stored_tensors(&out);
        let index = workshop.read_json("out/model.safetensors.index.json");
        let map: BTreeMap<String, String> =
            serde_json::from_value(index["weight_map"].clone()).unwrap();
        let found = shards.iter().map(|(name, _, file)| (name.clone(), file.clone())).collect();
        assert_eq!(map, found, "{size}");
        assert_eq!(index["metadata"]["total_size"], stored_bytes(&out), "{size}");
        assert_eq!(result["bytes_after"], stored_bytes(&out), "{size}");

        let mut files: Vec<_> = shards.iter().map(|(_, _, file)| file.clone()).collect();
        files.sort();
        files.dedup();
        let count = files.len();
        assert!(count >= least, "{size}: {files:?}");
        let names: Vec<_> =
            (1..=count).map(|i| format!("model-{i:05}-of-{count:05}.safetensors")).collect();
        assert_eq!(files, names, "{size}");
        assert_eq!(result["files"], json!(names), "{size}");
        assert!(!out.join("model.safetensors").exists(), "{size}");
        assert_eq!(workshop.json("inspect out")["files"], count, "{size}");

        let shapes = |all: &[(String, safetensors::tensor::TensorInfo, String)]| -> Vec<_> {
            all.iter().map(|(name, info, _)| (name.clone(), info.shape.clone())).collect()
        };
        assert_eq!(shapes(&shards), shapes(&whole), "{size}");
        assert_eq!(workshop.perplexity("out"), single, "{size}");
    }
}

/// Checks names and shapes of some tensors, and that no name contains any of `absent`.
fn check_names(case: &str, present: &[(&str, &[usize])], absent: &[&str]) {
    let workshop = Workshop::new(&format!("families/{case}"));
    // A different width at every cut, so that no shape is right by chance.
    let cuts = workshop.json("inspect MODEL")["cuts"].as_u64().unwrap();
    let widths: Vec<u64> = (0..cuts).map(|cut| 20 + cut).collect();
    workshop.write("plan.json", json!(widths).to_string());
    compress(&workshop, "--plan plan.json");
    let all = stored_tensors(&workshop.path("out"));
    for (name, shape) in present {
        let found = all.iter().find(|(other, ..)| other == name);
        let found = found.unwrap_or_else(|| panic!("{case}: {name} among {all:?}"));
        assert_eq!(found.1.shape, *shape, "{case}: {name}");
    }
    for part in absent {
        let found = all.iter().find(|(name, ..)| name.contains(part));
        assert!(found.is_none(), "{case}: {found:?}");
    }
}

#[test]
fn tensors_have_the_names_of_the_reference_and_transformers() {
    check_names(
        "llama2",
        &[
            ("model.embed_tokens.weight", &[64, 20]),
            ("model.layers.0.attn_shortcut_Q", &[20, 21]),
            ("model.layers.0.mlp_shortcut_Q", &[21, 22]),
            ("model.layers.1.attn_shortcut_Q", &[22, 23]),
            ("model.layers.1.mlp_shortcut_Q", &[23, 24]),
            ("model.layers.0.self_attn.q_proj.weight", &[32, 20]),
            ("model.layers.0.self_attn.o_proj.weight", &[21, 32]),
            ("model.layers.0.mlp.gate_proj.weight", &[48, 21]),
            ("model.layers.0.mlp.down_proj.weight", &[22, 48]),
            ("lm_head.weight", &[64, 24]),
        ],
        &["norm", "bias"],
    );
    check_names(
        "phi3",
        &[
            ("model.layers.0.self_attn.qkv_proj.weight", &[64, 20]),
            ("model.layers.0.mlp.gate_up_proj.weight", &[96, 21]),
            ("model.layers.0.attn_shortcut_Q", &[20, 21]),
            ("model.layers.1.mlp_shortcut_Q", &[23, 24]),
        ],
        &["norm", "bias", "q_proj", "gate_proj", ".up_proj"],
    );
    check_names(
        "opt",
        &[
            ("model.decoder.embed_tokens.weight", &[64, 20]),
            ("model.decoder.embed_positions.weight", &[66, 20]),
            ("model.decoder.layers.0.attn_shortcut_Q", &[20, 21]),
            ("model.decoder.layers.1.mlp_shortcut_Q", &[23, 24]),
            ("model.decoder.layers.0.self_attn.out_proj.bias", &[21]),
            ("model.decoder.layers.0.fc1.bias", &[56]),
            ("lm_head.weight", &[64, 24]),
            ("lm_head.bias", &[64]),
        ],
        &["norm"],
    );
    // One sublayer per block, so one shortcut.
    check_names(
        "phi",
        &[
            ("model.layers.0.attn_shortcut_Q", &[20, 21]),
            ("model.layers.1.attn_shortcut_Q", &[21, 22]),
            ("model.layers.0.mlp.fc2.weight", &[21, 56]),
            ("lm_head.weight", &[64, 22]),
            ("lm_head.bias", &[64]),
        ],
        &["norm", "mlp_shortcut_Q"],
    );
    // The norms inside the heads do not read the stream, and stay.
    check_names(
        "qwen3",
        &[("model.layers.0.self_attn.q_norm.weight", &[12])],
        &["layernorm", "model.norm"],
    );
    // Read without their prefix, and written with it.
    check_names(
        "opt-bin",
        &[
            ("model.decoder.embed_tokens.weight", &[64, 20]),
            ("model.decoder.layers.1.fc2.weight", &[24, 56]),
            ("lm_head.bias", &[64]),
        ],
        &["norm"],
    );
}
