//! One suite for every device: the one that the environment variable `SLICEGPT_DEVICE` names does
//! what the processor does. Without the variable it is the processor that is tested, against itself
//! computing as other devices do.

use std::path::{Path, PathBuf};

use std::sync::LazyLock;
use std::time::Duration;

use assert_cmd::Command;
use serde_json::Value;
use slicegpt_gpu_kit::{Agreement, Check, HALVES, METHODS, Program};
use slicegpt_testkit::{fixtures, reference, relative};
use tempfile::TempDir;

const TRAINED: [&str; 4] = ["ts-llama3-gqa", "ts-opt", "ts-phi", "ts-phi3"];

/// The device under test.
fn device() -> &'static str {
    static DEVICE: LazyLock<String> =
        LazyLock::new(|| std::env::var("SLICEGPT_DEVICE").unwrap_or_else(|_| "cpu".into()));
    &DEVICE
}

fn slicegpt(args: &[&str]) -> std::process::Output {
    Command::cargo_bin("slicegpt").unwrap().args(args).output().unwrap()
}

fn json(args: &[&str]) -> Value {
    let output = slicegpt(args);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {errors}");
    serde_json::from_slice(&output.stdout).expect("one JSON object on stdout")
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The trained models of the repository.
fn trained() -> Vec<PathBuf> {
    TRAINED.iter().map(|name| fixtures().join("models").join(name)).collect()
}

/// [`trained`], and models that others trained, where they are.
fn trained_by_all() -> Vec<PathBuf> {
    let mut models = trained();
    if let Some(reference) = reference() {
        let others = ["stories260K", "babyllama-1m-tok105"];
        models.extend(others.map(|name| reference.join("models").join(name)));
    }
    models
}

/// Compresses `model` with a little of the bundled text, and scores it on a little of another.
fn compress(model: &Path, options: &[&str]) -> (TempDir, Value) {
    let scratch = tempfile::tempdir().unwrap();
    let out = scratch.path().join("out");
    let eval = fixtures().join("text/valid.txt");
    let mut args = vec!["compress", text(model), "--out", text(&out), "--json", "--dtype", "f32"];
    args.extend(["--seqlen", "96", "--eval-text", text(&eval), "--eval-max-samples", "4"]);
    if !options.contains(&"--method") {
        args.extend(["--method", "per-layer"]);
    }
    if !options.contains(&"--samples") {
        args.extend(["--samples", "8"]);
    }
    args.extend(options);
    let result = json(&args);
    (scratch, result)
}

fn perplexities(result: &Value) -> [f64; 2] {
    ["perplexity_before", "perplexity_after"].map(|key| result[key].as_f64().unwrap())
}

fn weights(scratch: &TempDir) -> Vec<u8> {
    std::fs::read(scratch.path().join("out/model.safetensors")).unwrap()
}

/// The checks that the GPU kit runs too.
fn agreement() -> Agreement {
    Agreement {
        program: Program::at(assert_cmd::cargo::cargo_bin("slicegpt")),
        device: device().into(),
        text: fixtures().join("text/valid.txt"),
        limit: Duration::from_secs(600),
    }
}

/// Every check was made, and its difference is within its tolerance.
fn assert_passed(checks: impl IntoIterator<Item = Check>) {
    let mut count = 0;
    for check in checks {
        assert!(check.passed, "{check:?}");
        count += 1;
    }
    assert!(count > 0);
}

#[test]
fn slicing_gives_the_perplexity_that_the_processor_gives() {
    for model in trained_by_all() {
        let methods = METHODS.into_iter().filter(|(_, options)| !options.contains(&"none"));
        for method in methods.filter(|(name, _)| *name != "per-layer, refit") {
            assert_passed(agreement().method(&model, method).unwrap());
        }
    }
}

/// What the kit asks for beside the methods of the test above.
#[test]
fn other_methods_and_text_agree_with_the_processor() {
    let model = &trained()[1];
    for method in [METHODS[1], METHODS[3]] {
        assert_passed(agreement().method(model, method).unwrap());
    }
    assert_passed([agreement().text(model, "Once upon a time").unwrap()]);
}

#[test]
fn covariances_in_float64_on_the_host_serve_every_device() {
    let model = &trained()[0];
    let (_scratch, found) = compress(model, &["--device", device(), "--covariance", "f64"]);
    let (_scratch, expected) = compress(model, &["--device", "cpu"]);
    assert_eq!([&found["covariance"], &expected["covariance"]], ["f64", "f64"]);
    let pairs = perplexities(&found).into_iter().zip(perplexities(&expected));
    assert!(pairs.into_iter().all(|(found, expected)| relative(found, expected) < 1e-3));
}

/// Fusing and rotating, on every family: the accuracy of weight edits.
#[test]
fn rotated_is_dense() {
    for entry in std::fs::read_dir(fixtures().join("families")).unwrap() {
        let case = entry.unwrap().path();
        if case.join("expected.safetensors").is_file() {
            assert_passed([agreement().rotation(&case).unwrap()]);
        }
    }
}

/// Logits of dense models, padded ones too, against those of transformers.
#[test]
fn logits_are_those_of_transformers() {
    let families = ["llama2", "llama31", "opt", "phi", "phi3", "qwen3", "mistral"];
    for case in families.map(|family| fixtures().join("families").join(family)) {
        assert_passed(agreement().logits(&case).unwrap());
    }
}

/// Whether the device under test computes in `dtype` (`float16`, `bfloat16`).
fn computes_in(dtype: &str) -> bool {
    let devices = json(&["devices", "--json"]);
    let all = devices["backends"].as_array().unwrap().iter();
    let mut all = all.flat_map(|backend| backend["devices"].as_array().unwrap());
    let info = all.find(|info| info["name"].as_str().unwrap().starts_with(device()));
    info.expect("the device under test is listed")[dtype].as_bool().unwrap()
}

#[test]
fn half_precision_costs_little() {
    for (option, dtype) in HALVES {
        let options = ["--device", device(), "--compute-dtype", option];
        if !computes_in(dtype) {
            let model = &trained()[0];
            let scratch = tempfile::tempdir().unwrap();
            let out = scratch.path().join("out");
            let args = ["compress", text(model), "--out", text(&out)];
            let output = slicegpt(&[&args[..], &options].concat());
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(2), "{errors}");
            assert!(errors.contains(&format!("--compute-dtype {option}")), "{errors}");
            continue;
        }
        for model in trained() {
            assert_passed([agreement().half(&model, option).unwrap()]);
        }
    }
}

/// In memory or in a file, the signal is the same; in half precision, nearly.
#[test]
fn the_signal_waits_where_it_is_told_to() {
    let model = &trained()[1];
    let spill = tempfile::tempdir().unwrap();
    let on = ["--device", device(), "--batch-size", "2"];
    let run = |options: &[&str]| compress(model, &[&on[..], options].concat());
    let (memory, expected) = run(&[]);
    let (file, _) = run(&["--spill", text(spill.path())]);
    assert!(weights(&memory) == weights(&file));
    assert_eq!(std::fs::read_dir(spill.path()).unwrap().count(), 0);
    for dtype in ["f16", "bf16"] {
        for options in [&["--stream-dtype", dtype][..], &["--stream-dtype", dtype, "--spill", "."]]
        {
            let (half, found) = run(options);
            assert!(weights(&memory) != weights(&half), "{options:?}");
            let off = relative(perplexities(&found)[1], perplexities(&expected)[1]);
            assert!(off < 5e-3, "{options:?}: {off}");
        }
    }
}

/// However many sequences are run at a time, the result is the same within rounding.
#[test]
fn batches_are_as_large_as_they_may_be() {
    let model = &trained()[0];
    let on = ["--device", device()];
    let run = |options: &[&str]| compress(model, &[&on[..], options].concat()).1;
    let [one, auto, little] =
        [&["--batch-size", "1"][..], &[], &["--device-memory", "1MB"]].map(run);
    let sizes = [&one, &auto, &little].map(|result| result["batch_size"].as_u64().unwrap());
    assert_eq!(sizes[0], 1);
    assert!(sizes[1] > 1);
    assert_eq!(sizes[2], 1);
    let off = relative(perplexities(&one)[1], perplexities(&auto)[1]);
    assert!(off < 1e-4, "{off}");
}

#[test]
fn devices_are_listed() {
    let devices = json(&["devices", "--json"]);
    let backends = devices["backends"].as_array().unwrap();
    let names: Vec<_> = backends.iter().map(|backend| backend["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["cpu", "wgpu", "vulkan", "metal", "cuda"]);
    let cpu = &backends[0]["devices"][0];
    assert_eq!([&cpu["name"], &backends[0]["compiled"]], [&Value::from("cpu"), &true.into()]);
    assert!(cpu["memory_bytes"].as_u64().unwrap() > 1 << 28);
    assert_eq!([&cpu["float64"], &cpu["software"]], [true, false]);
    for backend in backends.iter().filter(|backend| backend["compiled"] == false) {
        assert_eq!(backend["devices"], Value::Array(Vec::new()));
    }
    let table = String::from_utf8(slicegpt(&["devices"]).stdout).unwrap();
    assert!(names.iter().all(|name| table.contains(name)), "{table}");
    // A program that stands in for a device is never chosen by itself.
    let auto = devices["auto"].as_str().unwrap();
    let mut all = backends.iter().flat_map(|backend| backend["devices"].as_array().unwrap());
    assert_eq!(all.find(|info| info["name"] == auto).unwrap()["software"], false);
}
