//! What is written is what is read, and what is applied is what the matrices say.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use slicegpt_adapters::{Adapter, AdapterConfig, Factors, Targets};

use crate::kit::{Files, Q, model};

fn factors(module: &str, rank: usize, inputs: usize, outputs: usize, seed: u64) -> Factors {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut values = |count| (0..count).map(|_| rng.random_range(-1.0f32..1.0)).collect();
    let (a, b) = (values(rank * inputs), values(outputs * rank));
    Factors { module: module.into(), rank, inputs, outputs, a, b }
}

fn json_of(directory: &std::path::Path) -> Value {
    let text = std::fs::read(directory.join("adapter_config.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

#[test]
fn what_is_written_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("adapter");
    let mut config = AdapterConfig::new(Some("org/name".into()), 3, 6.5);
    config.dropout = 0.05;
    config.rank_stabilized = true;
    let up = "model.layers.0.mlp.up_proj";
    let made = [factors(Q, 3, 4, 3, 1), factors(up, 1, 4, 5, 2)];
    let adapter = Adapter::new(config, made.to_vec()).unwrap();
    adapter.write(&out, None, false).unwrap();
    let read = Adapter::open(&out).unwrap();
    assert_eq!(read.config(), adapter.config());
    assert!(read.pairs().eq(adapter.pairs()));
    for factors in &made {
        assert_eq!(read.factors(&factors.module).unwrap().as_ref(), Some(factors));
    }
    assert_eq!(read.factors("model.norm").unwrap(), None);
    read.check(&model()).unwrap();
    let json = json_of(&out);
    assert_eq!(json["lora_alpha"], json!(6.5));
    assert_eq!(json["rank_pattern"], json!({ up: 1 }));
    assert_eq!(json["target_modules"], json!([Q, up]));
    for (key, value) in [("peft_type", "LORA"), ("task_type", "CAUSAL_LM"), ("bias", "none")] {
        assert_eq!(json[key], value);
    }
    // Nothing else is left, and it is replaced only with `force`.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 2);
    assert!(adapter.write(&out, None, false).is_err());
    read.write(&out, None, true).unwrap();
    assert_eq!(Adapter::open(&out).unwrap().factors(Q).unwrap().as_ref(), Some(&made[0]));
    let inside = out.join("inside");
    assert!(adapter.write(&inside, Some(&out), false).is_err());
}

#[test]
fn the_change_is_the_scaled_product() {
    let files = Files::new();
    let adapter = files.open();
    let Factors { rank, inputs, outputs, a, b, .. } = adapter.factors(Q).unwrap().unwrap();
    assert_eq!((rank, inputs, outputs), (2, 4, 3));
    let mut expected = Vec::new();
    for row in 0..outputs {
        for column in 0..inputs {
            let product: f32 = (0..rank).map(|k| b[row * rank + k] * a[k * inputs + column]).sum();
            expected.push(2.0 * product);
        }
    }
    assert_eq!(adapter.delta(Q).unwrap().unwrap(), expected);
    let mut weight = vec![0.25; 12];
    let change = adapter.apply(&format!("{Q}.weight"), &mut weight).unwrap().unwrap();
    for (x, delta) in weight.iter().zip(&expected) {
        assert!((x - (0.25 + delta)).abs() < 1e-6);
    }
    let norm = |values: &[f32]| values.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    assert!((change.norm - norm(&expected)).abs() < 1e-9);
    assert!((change.before - norm(&[0.25; 12])).abs() < 1e-9);
    let mut other = vec![1.0; 4];
    assert_eq!(adapter.apply("model.norm.weight", &mut other).unwrap(), None);
    assert_eq!(other, [1.0; 4]);
    assert!(adapter.apply(&format!("{Q}.weight"), &mut other).is_err());
}

#[test]
fn embeddings_and_whole_tensors_are_applied_and_written() {
    let mut files = Files::new();
    files.config["target_modules"] = json!(["embed_tokens", "q_proj"]);
    files.config["modules_to_save"] = json!(["norm"]);
    files.insert("model.embed_tokens.lora_embedding_A", &[2, 7], |i| i as f32);
    files.insert("model.embed_tokens.lora_embedding_B", &[4, 2], |i| 1.0 - i as f32);
    files.insert("model.embed_tokens.base_layer.weight", &[7, 4], |i| 10.0 * i as f32);
    files.insert("model.norm.weight", &[4], |i| i as f32);
    let folder = tempfile::tempdir().unwrap();
    let again = folder.path().join("again");
    files.open().write(&again, None, false).unwrap();
    for adapter in [files.open(), Adapter::open(&again).unwrap()] {
        adapter.check(&model()).unwrap();
        let mut norm = vec![9.0; 4];
        let change = adapter.apply("model.norm.weight", &mut norm).unwrap().unwrap();
        assert_eq!(norm, [0.0, 1.0, 2.0, 3.0]);
        assert_eq!(change.before, 18.0);
        let mut table = vec![5.0; 28];
        adapter.apply("model.embed_tokens.weight", &mut table).unwrap().unwrap();
        for token in 0..7 {
            for column in 0..4 {
                let a = [token as f32, (7 + token) as f32];
                let b = [1.0 - (2 * column) as f32, -((2 * column) as f32)];
                let expected =
                    10.0 * (4 * token + column) as f32 + 2.0 * (a[0] * b[0] + a[1] * b[1]);
                assert_eq!(table[4 * token + column], expected);
            }
        }
    }
    let file = std::fs::read(again.join("adapter_model.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&file).unwrap();
    let mut names: Vec<_> = file.names().into_iter().map(str::to_string).collect();
    names.sort();
    assert_eq!(names, files.tensors.keys().cloned().collect::<Vec<_>>());
}

#[test]
fn targets_are_short_where_that_selects_the_same() {
    let up = "model.layers.0.mlp.up_proj";
    let made = vec![factors(Q, 2, 4, 3, 1), factors(up, 2, 4, 5, 2)];
    let adapter = || Adapter::new(AdapterConfig::new(None, 2, 2.0), made.clone()).unwrap();
    let modules = [Q, up, "model.layers.1.self_attn.q_proj"];
    let targets = |modules: &[&str]| {
        let adapter = adapter().with_short_targets(modules.iter().copied());
        adapter.config().selection.targets.clone()
    };
    let list = |names: [&str; 2]| Targets::Modules(names.map(str::to_string).to_vec());
    assert_eq!(targets(&modules[..2]), list(["q_proj", "up_proj"]));
    assert_eq!(targets(&modules), list([Q, "up_proj"]));
}

#[test]
fn matrices_that_make_no_adapter_are_refused() {
    let config = || AdapterConfig::new(None, 2, 2.0);
    assert!(Adapter::new(config(), Vec::new()).is_err());
    let one = factors(Q, 2, 4, 3, 1);
    assert!(Adapter::new(config(), vec![one.clone(), one.clone()]).is_err());
    assert!(Adapter::new(config(), vec![Factors { inputs: 5, ..one.clone() }]).is_err());
    assert!(Adapter::new(AdapterConfig::new(None, 2, f64::NAN), vec![one]).is_err());
}
