//! Keys of `adapter_config.json`: honoured, without effect, or refused by name.

use serde_json::{Value, json};
use slicegpt_adapters::{Adapter, Bias, Selection, Targets};

use crate::kit::{Files, Q};

fn scale(files: &Files) -> f64 {
    let adapter = files.open();
    let pair = adapter.pairs().find(|(module, _)| *module == Q).expect("a pair");
    pair.1.scale
}

#[test]
fn scales_follow_rank_alpha_and_their_patterns() {
    let mut files = Files::new();
    assert_eq!(scale(&files), 2.0);
    files.config["use_rslora"] = json!(true);
    assert_eq!(scale(&files), 4.0 / 2f64.sqrt());
    files.config["use_rslora"] = json!(false);
    files.config["alpha_pattern"] = json!({ "k_proj": 1, "layers\\.[0-9]\\.self_attn.*": 3.5 });
    assert_eq!(scale(&files), 1.75);
    // The rank of this module by pattern; `r` is that of others.
    files.config["r"] = json!(8);
    files.config["rank_pattern"] = json!({ "q_proj": 2 });
    assert_eq!(scale(&files), 1.75);
    files.config["rank_pattern"] = json!({ "k_proj": 2 });
    let error = files.refused();
    assert!(error.contains("lora_A.weight") && error.contains("its rank is 8"), "{error}");
}

#[test]
fn what_is_read_is_kept() {
    let mut files = Files::new();
    files.config["bias"] = json!("lora_only");
    files.config["exclude_modules"] = json!(".*k_proj");
    files.config["layers_to_transform"] = json!([0, 1]);
    files.config["layers_pattern"] = json!("layers");
    files.config["revision"] = json!("main");
    files.config["lora_dropout"] = json!(0.1);
    // Without effect on the function.
    files.config["peft_version"] = json!("0.21.2");
    files.config["init_lora_weights"] = json!("gaussian");
    files.config["eva_config"] = json!({ "rho": 2.0 });
    // Switched off, whatever it is.
    files.config["use_later_thing"] = json!(false);
    let adapter = files.open();
    let config = adapter.config();
    assert_eq!((config.bias, config.dropout), (Bias::LoraOnly, 0.1));
    assert_eq!(config.revision.as_deref(), Some("main"));
    let expected = Selection {
        targets: Targets::Modules(vec!["q_proj".into()]),
        exclude: Some(Targets::Pattern(".*k_proj".into())),
        layers: vec![0, 1],
        layers_pattern: vec!["layers".into()],
    };
    assert_eq!(config.selection, expected);
}

#[test]
fn keys_that_change_the_function_are_refused_by_name() {
    let on = [
        ("use_dora", json!(true)),
        ("use_qalora", json!(true)),
        ("lora_bias", json!(true)),
        ("trainable_token_indices", json!([1])),
        ("target_parameters", json!(["experts.up"])),
        ("layer_replication", json!([[0, 4], [2, 5]])),
        ("megatron_config", json!({ "a": 1 })),
        ("alora_invocation_tokens", json!([1])),
        ("arrow_config", json!({ "top_k": 3 })),
        ("use_bdlora", json!({ "nblocks": 2 })),
        ("kasa_config", json!({ "beta": 1 })),
        ("monteclora_config", json!({ "a": 1 })),
        ("peft_type", json!("ADALORA")),
        ("task_type", json!("SEQ_CLS")),
        ("fan_in_fan_out", json!(true)),
        ("init_lora_weights", json!("pissa_niter_4")),
        ("init_lora_weights", json!("olora")),
        ("init_lora_weights", json!("LoftQ")),
        ("init_lora_weights", json!("later")),
        ("exclude_modules", json!("all-linear")),
        ("use_later_thing", json!(true)),
        ("later_config", json!({ "a": 1 })),
    ];
    for (key, value) in on {
        let mut files = Files::new();
        files.config[key] = value.clone();
        let error = files.refused();
        let says = format!("adapter_config.json: `{key}` is {value}: ");
        assert!(error.contains(&says), "{key}: {error}");
    }
}

#[test]
fn values_that_mean_nothing_are_refused() {
    let wrong = [
        ("r", json!(0)),
        ("r", json!(-1)),
        ("r", json!(1e9)),
        ("r", Value::Null),
        ("lora_alpha", Value::Null),
        ("lora_alpha", json!("8")),
        ("lora_dropout", json!([])),
        ("use_rslora", json!(1)),
        ("rank_pattern", json!({ "q_proj": 0 })),
        ("rank_pattern", json!([1])),
        ("alpha_pattern", json!({ "(": 1 })),
        ("target_modules", Value::Null),
        ("target_modules", json!([1])),
        ("target_modules", json!({ "a": 1 })),
        ("layers_to_transform", json!("one")),
        ("layers_to_transform", json!([-1])),
        ("modules_to_save", json!(["lm_head"])),
        ("bias", json!("some")),
        ("peft_type", Value::Null),
        ("task_type", json!(3)),
        ("init_lora_weights", json!(3)),
    ];
    for (key, value) in wrong {
        let mut files = Files::new();
        files.config[key] = value.clone();
        let error = files.refused();
        assert!(error.contains("adapter_config.json: "), "{key} {value}: {error}");
        assert!(error.contains(&format!("`{key}`")), "{key} {value}: {error}");
    }
}

#[test]
fn files_that_are_no_config_are_refused() {
    let files = Files::new();
    let path = files.write();
    let says = |text: &[u8]| {
        std::fs::write(path.join("adapter_config.json"), text).unwrap();
        Adapter::open(&path).err().expect("an error").to_string()
    };
    assert!(says(b"{").contains("not valid JSON"));
    assert!(says(b"[]").contains("a JSON object is needed"));
    assert!(says(b"\xff").contains("is not UTF-8"));
    assert!(says(&vec![b' '; 5 << 20]).contains("at most"));
    assert!(says("[".repeat(100_000).as_bytes()).contains("not valid JSON"));
    std::fs::remove_file(path.join("adapter_config.json")).unwrap();
    let error = Adapter::open(&path).err().expect("an error").to_string();
    assert!(error.contains("adapter_config.json is missing"), "{error}");
    let nowhere = path.join("nowhere");
    let error = Adapter::open(nowhere).err().expect("an error").to_string();
    assert!(error.contains("no such directory"), "{error}");
}
