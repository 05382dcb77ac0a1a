//! Weights in safetensors files: wrong headers and indices, and tensors that contradict the config.

use safetensors::Dtype;
use serde_json::json;

use crate::sandbox::{Damage, READERS, Sandbox, check_damages};

const FILE: &str = "dense/model.safetensors";
const INDEX: &str = "dense/model.safetensors.index.json";
const SECOND: &str = "model-00002-of-00003.safetensors";
const QUERY: &str = "model.layers.1.self_attn.q_proj.weight";
const KEY: &str = "model.layers.1.self_attn.k_proj.weight";

#[test]
fn a_file_that_does_not_match_its_header_is_refused() {
    let cut = |keep: fn(usize) -> usize| {
        move |sandbox: &Sandbox| {
            let bytes = sandbox.read(FILE);
            sandbox.write(FILE, &bytes[..keep(bytes.len())]);
        }
    };
    // Increases the declared length of the header by this much.
    let lie = |length: fn(u64) -> u64| {
        move |sandbox: &Sandbox| {
            let mut bytes = sandbox.read(FILE);
            let honest = u64::from_le_bytes(bytes[..8].try_into().unwrap());
            bytes[..8].copy_from_slice(&length(honest).to_le_bytes());
            sandbox.write(FILE, bytes);
        }
    };
    let longer = |sandbox: &Sandbox| {
        let bytes = sandbox.read(FILE);
        sandbox.write(FILE, [&bytes[..], b"more"].concat());
    };
    let says = &["dense/model.safetensors", "download it again"][..];
    check_damages(
        "families/llama2",
        READERS,
        &[
            (&cut(|_| 0), says),
            (&cut(|_| 4), says),
            (&cut(|_| 8), says),
            (&cut(|_| 100), says),
            (&cut(|length| length - 1), says),
            (&cut(|length| length / 2), says),
            (&longer, says),
            (&lie(|_| 0), says),
            (&lie(|honest| honest - 10), says),
            (&lie(|honest| honest + 8), says),
            (&lie(|_| 80_000), says),
            (&lie(|_| 1 << 30), says),
            (&lie(|_| u64::MAX), says),
            (&lie(|_| u64::MAX - 7), says),
        ],
    );
}

/// Two ways to get a directory without weights: Git without LFS, and an adapter.
#[test]
fn what_is_there_in_place_of_weights_is_named() {
    let pointer = |sandbox: &Sandbox| {
        let oid = "7".repeat(64);
        let text =
            format!("version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 2493632\n");
        sandbox.write(FILE, text);
    };
    let adapter = |sandbox: &Sandbox| {
        sandbox.remove(FILE);
        let config = json!({ "peft_type": "LORA", "base_model_name_or_path": "org/base" });
        sandbox.write("dense/adapter_config.json", config.to_string());
    };
    let damages: [Damage<'_>; 2] = [
        (&pointer, &["dense/model.safetensors", "git lfs pull"][..]),
        (&adapter, &["dense", "org/base", "merge"][..]),
    ];
    check_damages("families/llama2", READERS, &damages);
}

/// transformers 5 uses it too.
#[test]
fn a_head_of_its_own_is_used_although_the_config_ties_it() {
    let sandbox = Sandbox::new("families/llama31");
    sandbox.tokens("ids.safetensors", [1, 4], &[("input_ids", &[1, 2, 3, 4][..])]);
    let logits = || {
        let command = "logits dense --tokens ids.safetensors --out logits.safetensors";
        let run = sandbox.slicegpt(".", command).succeed();
        let bytes = sandbox.read("logits.safetensors");
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let zero = tensors.tensor("logits").unwrap().data().iter().all(|byte| *byte == 0);
        (run.stderr, zero, bytes)
    };
    let (_, zero, tied) = logits();
    assert!(!zero);
    // An equal copy is nothing to speak of.
    let name = "model.embed_tokens.weight";
    sandbox.parts(FILE, |header, data| {
        let embedding = header[name].clone();
        let offsets = [0, 1].map(|i| embedding["data_offsets"][i].as_u64().unwrap() as usize);
        let copy = data[offsets[0]..offsets[1]].to_vec();
        header["lm_head.weight"] = embedding;
        header["lm_head.weight"]["data_offsets"] = json!([data.len(), data.len() + copy.len()]);
        data.extend(copy);
    });
    let (said, _, copied) = logits();
    assert!(copied == tied && !said.contains("lm_head.weight"), "{said}");
    sandbox.tensor(FILE, "lm_head.weight", |bytes| bytes.fill(0));
    let (said, zero, _) = logits();
    assert!(zero && said.contains("lm_head.weight is not the embedding"), "{said}");
    assert_eq!(sandbox.slicegpt(".", "inspect dense").json()["tied"], false);
}

#[test]
fn an_invalid_header_is_refused() {
    let header = |text: &'static str| {
        move |sandbox: &Sandbox| sandbox.write_parts(FILE, text.as_bytes(), &[0; 64])
    };
    let deep = "[".repeat(100_000);
    let nested = |sandbox: &Sandbox| sandbox.write_parts(FILE, deep.as_bytes(), &[]);
    // New offsets of the query weight, from its old ones.
    let offsets = |edit: fn(u64, u64) -> [u64; 2]| {
        move |sandbox: &Sandbox| {
            sandbox.parts(FILE, |header, _| {
                let old = &header[QUERY]["data_offsets"];
                let [start, end] = [0, 1].map(|i| old[i].as_u64().unwrap());
                header[QUERY]["data_offsets"] = json!(edit(start, end));
            });
        }
    };
    let twice = |sandbox: &Sandbox| {
        sandbox.parts(FILE, |header, _| {
            header[QUERY]["data_offsets"] = header[KEY]["data_offsets"].clone();
        });
    };
    let huge = |sandbox: &Sandbox| {
        sandbox.parts(FILE, |header, _| header[QUERY]["shape"] = json!([1_u64 << 33, 1_u64 << 33]));
    };
    let unknown = |sandbox: &Sandbox| {
        sandbox.parts(FILE, |header, _| header[QUERY]["dtype"] = json!("Q4"));
    };
    let says = &["dense/model.safetensors", "download it again"][..];
    check_damages(
        "families/llama2",
        READERS,
        &[
            (&header("no JSON, but a long enough text"), says),
            (&header("[]"), says),
            (&header("{\"a\": 3}"), says),
            (
                &header(
                    "{\"a\": {\"dtype\": \"F32\", \"shape\": [-4], \"data_offsets\": [0, 64]}}",
                ),
                says,
            ),
            (
                &header("{\"a\": {\"dtype\": \"F32\", \"shape\": [4], \"data_offsets\": [0, 64]}}"),
                says,
            ),
            (&nested, says),
            (&twice, says),
            (&offsets(|start, end| [start - 64, end - 64]), says),
            (&offsets(|start, end| [end, start]), says),
            (&offsets(|start, _| [start, u64::MAX]), says),
            (&huge, says),
            (&unknown, says),
        ],
    );
}

#[test]
fn tensors_are_what_the_config_says() {
    let replace = |dtype: Dtype, shape: &'static [usize]| {
        move |sandbox: &Sandbox| sandbox.replace(FILE, QUERY, dtype, shape)
    };
    let rename = |sandbox: &Sandbox| {
        sandbox.parts(FILE, |header, _| {
            let info = header.as_object_mut().unwrap().remove(QUERY).unwrap();
            header["model.layers.1.self_attn.query.weight"] = info;
        });
    };
    let fields = |field: &'static str, value: u64| {
        move |sandbox: &Sandbox| sandbox.json("dense/config.json", |c| c[field] = json!(value))
    };
    let says = |last: &'static str| [FILE, QUERY, last];
    check_damages(
        "families/llama2",
        READERS,
        &[
            (&rename, &["dense", QUERY, "is missing"]),
            (
                &replace(Dtype::F32, &[32, 16]),
                &says("shape [32, 16], but config.json says [32, 32]"),
            ),
            (&replace(Dtype::F32, &[32, 32, 1]), &says("shape [32, 32, 1]")),
            (&replace(Dtype::F32, &[1024]), &says("shape [1024]")),
            (&replace(Dtype::F32, &[]), &says("shape []")),
            (&replace(Dtype::I64, &[32, 32]), &says("I64")),
            (&replace(Dtype::F64, &[32, 32]), &says("F64")),
            (&replace(Dtype::U8, &[32, 32]), &says("U8")),
            (&replace(Dtype::F8_E4M3, &[32, 32]), &says("F8_E4M3")),
            (&fields("num_hidden_layers", 3), &["dense", "model.layers.2.", "is missing"]),
            (&fields("vocab_size", 65), &[FILE, "embed_tokens", "[64, 32]", "[65, 32]"]),
            (&fields("intermediate_size", 1 << 20), &[FILE, "mlp.", "[1048576, 32]"]),
        ],
    );
}

#[test]
fn missing_weights_are_named() {
    let none = |sandbox: &Sandbox| sandbox.remove(FILE);
    let folder = |sandbox: &Sandbox| {
        sandbox.remove(FILE);
        sandbox.create_dir(FILE);
    };
    let says = &["dense", "no weights", "model.safetensors"][..];
    let is_folder = &["dense/model.safetensors", "is a directory, not a file"][..];
    check_damages("families/llama2", READERS, &[(&none, says), (&folder, is_folder)]);
}

#[test]
fn an_index_must_match_its_shards() {
    let map = |tensor: &'static str, shard: serde_json::Value| {
        move |sandbox: &Sandbox| {
            sandbox.json(INDEX, |index| index["weight_map"][tensor] = shard.clone())
        }
    };
    let write = |text: &'static str| move |sandbox: &Sandbox| sandbox.write(INDEX, text);
    let missing = |sandbox: &Sandbox| sandbox.remove(&format!("dense/{SECOND}"));
    let cut = |sandbox: &Sandbox| {
        let bytes = sandbox.read(&format!("dense/{SECOND}"));
        sandbox.write(&format!("dense/{SECOND}"), &bytes[..bytes.len() / 2]);
    };
    let forget = |sandbox: &Sandbox| {
        sandbox.json(INDEX, |index| {
            index["weight_map"].as_object_mut().unwrap().remove(QUERY);
        });
    };
    // There is a matching file outside of the folder, which must not be used.
    let outside = |shard: &'static str| {
        let map = map(QUERY, json!(shard));
        move |sandbox: &Sandbox| {
            sandbox.write(SECOND, sandbox.read(&format!("dense/{SECOND}")));
            map(sandbox);
        }
    };
    let not_a_name = &[INDEX, "not a file name"][..];
    check_damages(
        "families/llama-sharded",
        READERS,
        &[
            (&missing, &[INDEX, SECOND, "download"]),
            (&cut, &["dense/model-00002-of-00003.safetensors", "download it again"]),
            (&forget, &["dense", QUERY, "is missing"]),
            (&outside("../model-00002-of-00003.safetensors"), not_a_name),
            (&outside("./model-00002-of-00003.safetensors"), not_a_name),
            (&outside("/etc/hostname"), not_a_name),
            (&outside(".."), not_a_name),
            (&outside(""), not_a_name),
            (
                &map(QUERY, json!("model-00003-of-00003.safetensors")),
                &["model-00003", QUERY, "is missing"],
            ),
            (&map(QUERY, json!(2)), &[INDEX, "weight_map"]),
            (&map("not.there", json!(SECOND)), &[SECOND, "not.there", "is missing"]),
            // Names from files are printed in one line, whatever they contain.
            (&map("not\nthere", json!(SECOND)), &[SECOND, "is missing"]),
            (&write("{"), &[INDEX, "not valid JSON"]),
            (&write("[]"), &[INDEX, "weight_map"]),
            (&write("{\"weight_map\": []}"), &[INDEX, "weight_map"]),
            (&write("{\"weight_map\": {}}"), &["dense", "is missing"]),
        ],
    );
}
