//! Models of the Hub on the command line, where every MODEL may be one.

use std::path::Path;

use serde_json::Value;
use slicegpt_testkit::{Access, Cli, HubServer, Run, fixtures};

/// A home directory with an empty cache, and a Hub with models of the fixtures.
struct Fixture {
    hub: HubServer,
    home: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let hub = HubServer::start();
        for name in ["llama2", "llama-sharded", "opt-bin"] {
            hub.add(&format!("org/{name}"), &fixtures().join("families").join(name));
        }
        hub.add("org/chat", &fixtures().join("models/ts-llama3-gqa"));
        Self { hub, home: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> String {
        self.home.path().join(name).to_str().unwrap().to_string()
    }

    /// `slicegpt` with the arguments in `line`, which are quoted as in a shell.
    fn cli(&self, line: &str) -> Cli {
        let command = Cli::new("").args(shlex::split(line).unwrap()).current_dir(self.home.path());
        let command = command
            .without_env(|name| name.starts_with("HF_") || name.to_lowercase().ends_with("_proxy"));
        command.env("HF_ENDPOINT", self.hub.endpoint()).env("HF_HOME", self.home.path())
    }

    fn succeed(&self, line: &str) -> Run {
        let run = self.cli(line).succeed();
        assert!(!run.stderr.contains("cache"), "{line}: {}", run.stderr);
        run
    }

    fn json(&self, line: &str) -> Value {
        self.succeed(&format!("{line} --json")).json()
    }

    fn tokens(&self) -> String {
        fixtures().join("families/llama2/expected.safetensors").to_str().unwrap().to_string()
    }
}

#[test]
fn a_model_of_the_hub_is_used_like_a_directory() {
    let fixture = Fixture::new();
    for name in ["llama2", "llama-sharded", "opt-bin"] {
        let here = fixtures().join("families").join(name);
        let [here, there] = [here.to_str().unwrap(), &format!("org/{name}")]
            .map(|model| fixture.json(&format!("inspect '{model}'")));
        assert_eq!(here, there, "{name}");
        // Again, from the cache, without a request.
        fixture.hub.state().requests.clear();
        let offline = fixture.cli(&format!("inspect org/{name}")).env("HF_HUB_OFFLINE", "1");
        assert_eq!(offline.json(), there);
        assert!(fixture.hub.state().requests.is_empty());
    }
}

#[test]
fn inspect_downloads_no_weights() {
    let fixture = Fixture::new();
    let inspect =
        || fixture.cli("inspect org/llama-sharded").env("TMPDIR", fixture.home.path()).json();
    let first = inspect();
    let commit = fixture.hub.state().models["org/llama-sharded"].commit.clone();
    let model = fixture.home.path().join("hub/models--org--llama-sharded");
    let names = |directory: &Path| {
        let entries = std::fs::read_dir(directory).unwrap().flatten();
        let mut names: Vec<_> = entries.map(|e| e.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let snapshot = model.join("snapshots").join(&commit);
    assert_eq!(names(&snapshot), ["config.json", "model.safetensors.index.json"]);
    assert_eq!(names(fixture.home.path()), ["hub"], "nothing temporary is left");
    // Headers are cached and not requested again.
    fixture.hub.downloaded();
    assert_eq!(inspect(), first);
    assert!(fixture.hub.downloaded().is_empty());
    // The result is the same with some of the weights in the cache, and with all of them.
    let tokens = fixture.tokens();
    fixture.succeed(&format!("eval ppl org/llama-sharded --tokens '{tokens}'"));
    assert_eq!(names(&snapshot).len(), 5);
    std::fs::remove_dir_all(model.join(".slicegpt")).unwrap();
    std::fs::remove_file(snapshot.join("model-00002-of-00003.safetensors")).unwrap();
    for _ in 0..2 {
        assert_eq!(inspect(), first);
    }
    // Offline, a command that reads weights names the missing file.
    let offline = fixture.cli("verify org/llama-sharded").env("HF_HUB_OFFLINE", "1");
    offline.refuse(&["model-00002-of-00003.safetensors", "HF_HUB_OFFLINE"]);
}

#[test]
fn plan_downloads_the_config_only() {
    let fixture = Fixture::new();
    fixture.succeed("plan org/llama-sharded --method per-layer --sparsity 0.25 --json");
    assert_eq!(fixture.hub.downloaded(), ["config.json"]);
    // A file in the cache is not requested again.
    fixture.succeed("plan org/llama-sharded@main --method per-layer --sparsity 0.25 --json");
    assert!(fixture.hub.downloaded().is_empty());
}

#[test]
fn every_command_takes_a_model_of_the_hub() {
    let fixture = Fixture::new();
    let tokens = fixture.tokens();
    let model = "org/llama2";
    let inspected = fixture.json(&format!("inspect {model}"));
    fixture.json(&format!("verify {model}"));
    fixture.json(&format!("eval ppl {model} --tokens '{tokens}'"));
    let same = fixture.json(&format!("eval kl {model} {model}@main --tokens '{tokens}'"));
    assert_eq!(same["kl"].as_f64(), Some(0.0));
    fixture.succeed(&format!("logits {model} --tokens '{tokens}' --out logits.safetensors"));
    let cut = "--keep-params 0.8 --calibration";
    fixture.succeed(&format!("compress {model} --out small {cut} '{tokens}' --json"));
    fixture.succeed(&format!("calibrate {model} --out stats --calibration '{tokens}' --json"));
    let small = fixture.json("inspect small");
    assert!(small["params"].as_u64() < inspected["params"].as_u64());
    let card = std::fs::read_to_string(fixture.home.path().join("small/README.md")).unwrap();
    assert!(card.contains("# org/llama2, sliced"), "{card}");
    // The files next to the weights are downloaded too.
    let chat = "org/chat";
    let ids = |model: &str| {
        let line = format!("generate '{model}' -p 'Once upon a time' -n 4");
        fixture.json(&line)["token_ids"].clone()
    };
    let here = fixtures().join("models/ts-llama3-gqa");
    assert_eq!(ids(chat), ids(here.to_str().unwrap()));
    fixture.succeed(&format!("export gguf {chat} --out chat.gguf --json"));
    let file = std::fs::read(fixture.path("chat.gguf")).unwrap();
    let name = [&4_u64.to_le_bytes()[..], b"chat"].concat();
    assert!(file.windows(name.len()).any(|bytes| bytes == name), "its name is that of the model");
}

#[test]
fn local_paths_are_not_requested() {
    let fixture = Fixture::new();
    let copy = |from: &Path, to: &Path| {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap().flatten() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    };
    copy(&fixtures().join("families/qwen2"), &fixture.home.path().join("org/llama2"));
    assert_eq!(fixture.json("inspect org/llama2")["model_type"], "qwen2");
    assert!(fixture.hub.state().requests.is_empty());
    // Paths are not requested either.
    for path in ["nowhere", "./org/llama9", "a/b/c"] {
        let says = [path, "no such directory", "org/name"];
        fixture.cli(&format!("inspect {path}")).refuse(&says);
    }
    let url = "inspect https://huggingface.co/org/name";
    fixture.cli(url).refuse(&["is a URL", "named as org/name"]);
    fixture.cli("inspect org/llama2/config.json").refuse(&["is a file", "give the directory"]);
    assert!(fixture.hub.state().requests.is_empty());
}

#[test]
fn refusals_are_one_line() {
    let fixture = Fixture::new();
    fixture.hub.state().models.get_mut("org/llama2").unwrap().access = Access::Gated;
    for (line, says) in [
        ("inspect org/none", ["org/none: no such directory", "private"]),
        ("plan org/none", ["org/none: no such directory", "HF_TOKEN"]),
        ("eval ppl org/none --text x", ["org/none: no such directory", "HF_TOKEN"]),
        ("inspect org/opt-bin@v9", ["org/opt-bin", "revision `v9`"]),
        ("inspect org/llama2", ["org/llama2", "gated"]),
        ("generate org/llama2 -p x", ["org/llama2", "HF_TOKEN"]),
    ] {
        fixture.cli(line).refuse(&says);
    }
    let with = |line: &str, name: &str, value: &str| fixture.cli(line).env(name, value);
    let says = ["HF_TOKEN", "does not know the token"];
    with("inspect org/opt-bin", "HF_TOKEN", "hf_wrong").refuse(&says);
    let says = ["HF_HUB_OFFLINE", "org/opt-bin"];
    with("inspect org/opt-bin", "HF_HUB_OFFLINE", "1").refuse(&says);
    let says = ["cannot be reached", "org/opt-bin", "http://127.0.0.1:1"];
    with("inspect org/opt-bin", "HF_ENDPOINT", "http://127.0.0.1:1").refuse(&says);
    with("inspect org/opt-bin", "HF_ENDPOINT", "mirror").refuse(&["HF_ENDPOINT", "mirror"]);
    // The token gives access, from the variable or from its file.
    with("inspect org/llama2", "HF_TOKEN", "hf_right").succeed();
    std::fs::write(fixture.home.path().join("token"), "hf_right\n").unwrap();
    fixture.succeed("generate org/chat -p Once -n 1");
    assert!(fixture.hub.state().requests.iter().any(|r| r.authorization.is_some()));
}

#[test]
fn an_interrupted_download_leaves_no_output_and_resumes() {
    let fixture = Fixture::new();
    let tokens = fixture.tokens();
    fixture.hub.state().faults.cut = Some((5000, usize::MAX));
    let line =
        format!("compress org/llama2 --out small --keep-params 0.8 --calibration '{tokens}'");
    fixture.cli(&line).refuse(&["model.safetensors", "interrupted", "5000"]);
    let visible = std::fs::read_dir(fixture.home.path()).unwrap().flatten();
    let names: Vec<_> = visible.map(|e| e.file_name().into_string().unwrap()).collect();
    assert_eq!(names, ["hub"], "nothing but the cache");
    fixture.hub.state().faults.cut = None;
    fixture.hub.state().requests.clear();
    fixture.cli(&line).succeed();
    assert!(fixture.hub.state().requests.iter().any(|r| r.from == Some(5000)));
}
