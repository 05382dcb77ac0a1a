//! `export gguf`: the file holds the tensors of the checkpoint, and the summary describes the file.

use std::path::Path;

use serde_json::Value;
use slicegpt_testkit::{Gguf, Tensors, Workshop};

/// Reads a GGUF file of the workshop.
fn read(workshop: &Workshop, name: &str) -> Gguf {
    Gguf::read(&workshop.path(name))
}

const CUT: &str =
    "compress MODEL --out cut --calibration MODEL/expected.safetensors:input_ids --hidden-size 24";

fn values(directory: &Path, name: &str) -> Vec<f32> {
    let tensors = Tensors::read(&directory.join("model.safetensors"));
    tensors.values(name).iter().map(|x| *x as f32).collect()
}

#[test]
fn dense_and_cut_models_are_written_as_they_are() {
    for (family, cut_as) in [("llama2", "llama"), ("qwen2", "llama"), ("qwen3", "qwen3")] {
        let workshop = Workshop::new(&format!("families/{family}"));
        workshop.succeed(CUT);
        for (model, directory) in [("MODEL", workshop.model("")), ("cut", workshop.path("cut"))] {
            let json = workshop.json(&format!("export gguf {model} --out out.gguf --force"));
            let file = read(&workshop, "out.gguf");
            if model == "cut" {
                assert_eq!(json["architecture"], cut_as, "{family}");
            }
            for (name, from) in [
                ("token_embd.weight", "model.embed_tokens.weight"),
                ("blk.1.attn_norm.weight", "model.layers.1.input_layernorm.weight"),
                ("blk.1.attn_v.weight", "model.layers.1.self_attn.v_proj.weight"),
                ("blk.1.ffn_down.weight", "model.layers.1.mlp.down_proj.weight"),
                ("output_norm.weight", "model.norm.weight"),
            ] {
                assert_eq!(file.f32s(name), values(&directory, from), "{family} {model} {name}");
            }
        }
    }
}

#[test]
fn the_summary_says_what_is_in_the_file() {
    let workshop = Workshop::new("models/ts-llama3-gqa");
    for (options, mostly, bits) in [
        // As in the checkpoint.
        ("", "F16", 16.0..16.1),
        ("--type f32", "F32", 32.0..32.1),
        ("--type q8_0", "Q8_0", 8.5..9.6),
        ("--type q4_k_m", "Q5_0", 6.0..8.0),
    ] {
        let command = format!("export gguf MODEL --out model.gguf --force {options}");
        let json = workshop.json(&command);
        let path = workshop.path("model.gguf");
        assert_eq!(json["bytes"], std::fs::metadata(&path).unwrap().len(), "{options}");
        let file = Gguf::read(&path);
        assert_eq!(json["tensors"], file.tensors.len(), "{options}");
        let counts = json["types"].as_object().unwrap().values();
        let sum = |key: &str| counts.clone().map(|count| count[key].as_u64().unwrap()).sum::<u64>();
        assert_eq!(sum("tensors"), file.tensors.len() as u64, "{options}");
        assert_eq!(json["params"], sum("values"), "{options}");
        let most = json["types"].as_object().unwrap().iter();
        let most = most.max_by_key(|(_, count)| count["values"].as_u64()).unwrap();
        assert_eq!(most.0, mostly, "{options}");
        assert!(bits.contains(&json["bits_per_weight"].as_f64().unwrap()), "{options}: {json}");
    }
    // Rows of 128 and 341 values do not fill blocks of 256, so each matrix falls back to another
    // type.
    let json = workshop.json("export gguf MODEL --out model.gguf --force --type q4_k_m");
    let fallbacks = json["fallbacks"].as_array().unwrap();
    assert_eq!(fallbacks.len(), 30);
    let down = fallbacks.iter().find(|fallback| fallback["tensor"] == "blk.2.ffn_down.weight");
    let down = down.unwrap();
    assert_eq!((&down["row"], &down["type"]), (&Value::from(341), &Value::from("F16")));
    let table = workshop.succeed("export gguf MODEL --out model.gguf --force --type q4_k_m");
    let table = table.stdout;
    for words in [
        "30 of 30 matrices fell back",
        "rows of 128, 341 values",
        "--align 256",
        "but for rows of 128",
    ] {
        assert!(table.contains(words), "{table}");
    }
}

#[test]
fn the_tokenizer_is_exported() {
    for (name, model, pre) in
        [("ts-llama3-gqa", "gpt2", "smaug-bpe"), ("ts-phi3", "llama", "default")]
    {
        let workshop = Workshop::new(&format!("models/{name}"));
        workshop.succeed("export gguf MODEL --out model.gguf");
        let metadata = read(&workshop, "model.gguf").metadata;
        assert_eq!(metadata["tokenizer.ggml.model"], model);
        assert_eq!(metadata["tokenizer.ggml.pre"], pre);
        assert_eq!(metadata["tokenizer.ggml.add_bos_token"], true);
        assert_eq!(metadata["tokenizer.ggml.tokens"].as_array().unwrap().len(), 2048);
        // llama.cpp refuses a model named phi3 that lacks the special tokens of Phi-3.
        assert_eq!(metadata["general.name"], name.replace("phi3", "phi 3"));
    }
}

#[test]
fn the_same_model_gives_the_same_bytes() {
    let workshop = Workshop::new("models/ts-llama3-gqa");
    let [first, second] = ["first", "second"].map(|name| {
        workshop.succeed(&format!("export gguf MODEL --out {name} --type q4_0"));
        std::fs::read(workshop.path(name)).unwrap()
    });
    assert!(first == second);
}
