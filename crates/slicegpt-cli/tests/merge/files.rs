//! The files next to the merged weights, and what is left when a run does not end.

use std::collections::BTreeSet;
use std::path::Path;

use slicegpt_testkit::{Cli, HubServer, TRAINED, Workshop, fixtures};

use crate::made;

fn files(directory: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn files_of_model_and_adapter_are_copied() {
    let workshop = Workshop::new(TRAINED);
    made::write_for(&workshop.model(""), &workshop.path("adapter"));
    let copied = |name: &str| std::fs::read(workshop.path("out").join(name)).unwrap();
    workshop.succeed("merge MODEL adapter --out out");
    let companions = [
        "generation_config.json",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ];
    for name in companions {
        assert!(copied(name) == std::fs::read(workshop.model(name)).unwrap(), "{name}");
    }
    let all = companions.iter().copied().chain(["config.json", "model.safetensors"]);
    assert_eq!(files(&workshop.path("out")), all.map(String::from).collect());
    // What an adapter brings for its tokenizer comes first; its other files do not.
    let template = "{{ messages[0]['content'] }}";
    workshop.write("adapter/chat_template.jinja", template);
    workshop.write("adapter/README.md", "card");
    workshop.write("adapter/generation_config.json", "{}");
    let same = std::fs::read(workshop.model("tokenizer.json")).unwrap();
    workshop.write("adapter/tokenizer.json", same);
    workshop.cli("merge MODEL adapter --out out").refuse(&["out", "--force"]);
    let result = workshop.json("merge MODEL adapter --out out --force");
    assert_eq!(result["tokenizer_files"], serde_json::json!(["chat_template.jinja"]));
    assert_eq!(copied("chat_template.jinja"), template.as_bytes());
    assert!(copied("generation_config.json") != b"{}");
    assert!(!workshop.path("out/README.md").exists());
    let text = workshop.succeed("generate out --prompt once --max-tokens 3 --temperature 0");
    assert!(!text.stdout.is_empty());
}

#[test]
fn an_adapter_of_the_hub_is_downloaded() {
    let workshop = Workshop::new("families/llama2");
    made::write_for(&workshop.model(""), &workshop.path("adapter"));
    let hub = HubServer::start();
    hub.add("org/adapter", &workshop.path("adapter"));
    hub.add("org/llama2", &fixtures().join("families/llama2"));
    let cli = |command: &str| {
        let cli = workshop.cli(command).env("HF_HOME", workshop.path("home"));
        let cli = cli.without_env(|name| name.to_lowercase().ends_with("_proxy"));
        cli.env("HF_ENDPOINT", hub.endpoint())
    };
    cli("merge org/llama2 org/adapter --out hub").succeed();
    cli("merge MODEL adapter --out local").succeed();
    let weights = |out: &str| std::fs::read(workshop.path(out).join("model.safetensors")).unwrap();
    assert!(weights("hub") == weights("local"));
    cli("merge MODEL org/llama2 --out x").refuse(&["org/llama2", "adapter_config.json", "PEFT"]);
    cli("merge org/adapter adapter --out x").refuse(&["org/adapter", "merge it"]);
}

/// Sends SIGTERM while a larger model is merged.
#[cfg(unix)]
#[test]
fn a_terminated_merge_leaves_nothing() {
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    let workshop = Workshop::new("families/llama2");
    let model = slicegpt_testkit::RandomModel {
        family: "llama".into(),
        hidden_size: 512,
        layers: 12,
        heads: 8,
        kv_heads: 8,
        intermediate_size: 1376,
        vocab_size: 512,
        context: 64,
        dtype: slicegpt_checkpoint::Dtype::Bf16,
        out: workshop.path("model"),
        seed: 1,
        tokens: None,
    };
    model.write().unwrap();
    let modules = made::modules(&workshop.path("model"), "");
    let mut factors = made::factors(modules.iter().map(|(name, shape)| (name.as_str(), *shape)));
    // A rank that takes seconds.
    for factors in &mut factors {
        factors.rank = 512;
        factors.a = vec![0.001; 512 * factors.inputs];
        factors.b = vec![0.001; 512 * factors.outputs];
    }
    made::adapter(factors).write(&workshop.path("adapter"), None, false).unwrap();
    let before = files(&workshop.path(""));
    let mut child = Command::new(Cli::program())
        .args(["merge", "model", "adapter", "--out", "out"])
        .current_dir(workshop.path(""))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while files(&workshop.path("")) == before {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it was interrupted");
        assert!(start.elapsed() < Duration::from_secs(60), "it never began");
        std::thread::sleep(Duration::from_millis(5));
    }
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-s", "TERM", &id]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    assert_eq!(files(&workshop.path("")), before);
}
