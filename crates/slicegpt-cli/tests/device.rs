//! The same tests for every device: the device that the environment variable `SLICEGPT_DEVICE`
//! names gives the results of the CPU. Without the variable, the CPU is compared with itself while
//! it computes as accelerators do.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use slicegpt_gpu_kit::{Agreement, Check, METHODS, Program};
use slicegpt_testkit::{Cli, device_name, fixtures, is_close, reference};
use tempfile::TempDir;

const TRAINED: [&str; 4] = ["ts-llama3-gqa", "ts-opt", "ts-phi", "ts-phi3"];

/// The trained models of the repository.
fn trained() -> Vec<PathBuf> {
    TRAINED.iter().map(|name| fixtures().join("models").join(name)).collect()
}

/// Compresses `model` with a little of the bundled text, and scores it on a little of another text.
fn compress(model: &Path, options: &[&str]) -> (TempDir, Value) {
    let scratch = tempfile::tempdir().unwrap();
    let out = scratch.path().join("out");
    let eval = fixtures().join("text/valid.txt");
    let mut command =
        Cli::new("compress --dtype f32 --seqlen 96 --eval-max-samples 4 --eval-prompts 0")
            .arg(model);
    if !options.contains(&"--method") {
        command = command.words("--method per-layer");
    }
    if !options.contains(&"--samples") {
        command = command.words("--samples 8");
    }
    command = command.arg("--out").arg(out).arg("--eval-text").arg(eval);
    let result = command.args(options).json();
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
        program: Program::at(Cli::program()),
        device: device_name(),
        text: fixtures().join("text/valid.txt"),
        limit: Duration::from_secs(600),
    }
}

/// Every check was made, and its difference is within its tolerance.
#[track_caller]
fn assert_passed(checks: impl IntoIterator<Item = Check>) {
    let mut count = 0;
    for check in checks {
        assert!(check.passed, "{check:?}");
        count += 1;
    }
    assert!(count > 0);
}

/// Slices `model` with both methods, on the CPU and on the device under test.
fn check_perplexities(model: &Path) {
    for method in METHODS.iter().filter(|(name, _)| ["per-layer", "shared, refit"].contains(name)) {
        assert_passed(agreement().method(model, *method).unwrap());
    }
}

/// The other methods, and generated text.
#[test]
fn other_methods_and_text_are_those_of_the_cpu() {
    let model = &trained()[1];
    for method in METHODS.iter().filter(|(name, _)| ["per-layer, refit", "shared"].contains(name)) {
        assert_passed(agreement().method(model, *method).unwrap());
    }
    assert_passed([agreement().text(model, "Once upon a time").unwrap()]);
}

#[test]
fn slicing_gives_the_perplexity_of_the_cpu() {
    trained().iter().for_each(|model| check_perplexities(model));
}

#[test]
#[ignore = "needs the reference models: cargo xtask test --reference DIR"]
fn slicing_reference_models_gives_the_perplexity_of_the_cpu() {
    for name in ["stories260K", "babyllama-1m-tok105"] {
        check_perplexities(&reference().join("models").join(name));
    }
}

#[test]
fn covariances_in_float64_on_the_host_serve_every_device() {
    let model = &trained()[0];
    let (_scratch, found) = compress(model, &["--device", &device_name(), "--covariance", "f64"]);
    let (_scratch, expected) = compress(model, &["--device", "cpu"]);
    assert_eq!([&found["covariance"], &expected["covariance"]], ["f64", "f64"]);
    let pairs = perplexities(&found).into_iter().zip(perplexities(&expected));
    assert!(pairs.into_iter().all(|(found, expected)| is_close(found, expected, 1e-3)));
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
    let devices = Cli::new("devices").json();
    let all = devices["backends"].as_array().unwrap().iter();
    let mut all = all.flat_map(|backend| backend["devices"].as_array().unwrap());
    let info = all.find(|info| info["name"].as_str().unwrap().starts_with(&device_name()));
    info.expect("the device under test is listed")[dtype].as_bool().unwrap()
}

#[test]
fn half_precision_costs_little() {
    for (option, dtype) in [("f16", "float16"), ("bf16", "bfloat16")] {
        let options = ["--device", &device_name(), "--compute-dtype", option];
        if !computes_in(dtype) {
            let model = &trained()[0];
            let scratch = tempfile::tempdir().unwrap();
            let command = Cli::new("compress --out out").arg(model).args(options);
            let says = format!("--compute-dtype {option}");
            command.current_dir(scratch.path()).refuse(&[&says]);
            continue;
        }
        for model in trained() {
            let (_scratch, full) = compress(&model, &["--device", &device_name()]);
            let (_scratch, half) = compress(&model, &options);
            assert_eq!(half["compute_dtype"], option);
            let ([_, full], [_, half]) = (perplexities(&full), perplexities(&half));
            let close = is_close(half, full, 5e-3);
            assert!(close, "{} in {option}: {half}, not {full}", model.display());
            // The arithmetic was really another one.
            assert_ne!(half, full, "{} in {option}", model.display());
        }
    }
}

/// In memory or in a file, the signal is the same; in half precision, almost.
#[test]
fn the_signal_is_stored_where_options_say() {
    let model = &trained()[1];
    let spill = tempfile::tempdir().unwrap();
    let on = ["--device", &device_name(), "--batch-size", "2"];
    let run = |options: &[&str]| compress(model, &[&on[..], options].concat());
    let (memory, expected) = run(&[]);
    let (file, _) = run(&["--spill", spill.path().to_str().unwrap()]);
    assert!(weights(&memory) == weights(&file));
    assert_eq!(std::fs::read_dir(spill.path()).unwrap().count(), 0);
    for dtype in ["f16", "bf16"] {
        for options in [&["--stream-dtype", dtype][..], &["--stream-dtype", dtype, "--spill", "."]]
        {
            let (half, found) = run(options);
            assert!(weights(&memory) != weights(&half), "{options:?}");
            let (found, expected) = (perplexities(&found)[1], perplexities(&expected)[1]);
            assert!(is_close(found, expected, 5e-3), "{options:?}: {found}, not {expected}");
        }
    }
}

/// The result does not depend on the batch size, except for rounding.
#[test]
fn batches_are_as_large_as_memory_allows() {
    let model = &trained()[0];
    let on = ["--device", &device_name()];
    let run = |options: &[&str]| compress(model, &[&on[..], options].concat()).1;
    let [one, auto, little] =
        [&["--batch-size", "1"][..], &[], &["--device-memory", "1MB"]].map(run);
    let sizes = [&one, &auto, &little].map(|result| result["batch_size"].as_u64().unwrap());
    assert_eq!(sizes[0], 1);
    assert!(sizes[1] > 1);
    assert_eq!(sizes[2], 1);
    let (one, auto) = (perplexities(&one)[1], perplexities(&auto)[1]);
    assert!(is_close(one, auto, 1e-4), "{one} and {auto}");
}

#[test]
fn devices_are_listed() {
    let devices = Cli::new("devices").json();
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
    let table = Cli::new("devices").succeed().stdout;
    assert!(names.iter().all(|name| table.contains(name)), "{table}");
    // A software device is never the default.
    let auto = devices["auto"].as_str().unwrap();
    let mut all = backends.iter().flat_map(|backend| backend["devices"].as_array().unwrap());
    assert_eq!(all.find(|info| info["name"] == auto).unwrap()["software"], false);
}
