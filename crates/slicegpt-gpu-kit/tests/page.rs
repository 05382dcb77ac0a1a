//! Pages from incomplete results, and the table of devices from several results.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use slicegpt_gpu_kit::{Results, page};

fn devices(model: &str, software: bool) -> Value {
    let device = json!({
        "name": "vulkan:0", "model": model, "memory_bytes": 85_899_345_920_u64,
        "float16": true, "bfloat16": true, "software": software,
    });
    let backends = json!([{ "name": "vulkan", "compiled": true, "devices": [device] }]);
    json!({ "kind": "fact", "name": "devices", "value": { "backends": backends } })
}

fn product(name: &str, achieved: f64) -> Value {
    json!({
        "kind": "rate", "group": "product", "name": name, "shape": "8192 x 8192 x 8192",
        "achieved": achieved, "unit": "FLOP/s", "limit": 4e14, "limit_is": "published",
        "seconds": 0.004,
    })
}

fn check(group: &str, name: &str, difference: Value, tolerance: f64, passed: bool) -> Value {
    json!({
        "kind": "check", "group": group, "name": name, "difference": difference,
        "tolerance": tolerance, "passed": passed,
    })
}

/// A run that was cut off in its third stage.
fn cut_off() -> Value {
    json!({
        "schema": 1,
        "device": "vulkan:0",
        "started": "2026-01-02T03:04:05Z",
        "minutes": 6.0,
        "kit": { "version": "0.1.0", "commit": "abc", "features": "vulkan" },
        "stages": [
            { "name": "devices", "status": "done", "seconds": 2.0,
              "lines": [devices("NVIDIA H100 80GB HBM3", false)] },
            { "name": "precision", "status": "done", "seconds": 9.0, "lines": [
                check("covariance", "white, 6000 x 512", json!(3e-12), 1e-10, true),
                check("covariance", "graded, 6000 x 512", json!(null), 1e-10, false),
            ] },
            { "name": "families", "status": "cut-off", "lines": [
                check("rotation", "first", json!(2e-6), 1e-4, true),
                { "kind": "of-tomorrow", "anything": [1, 2] },
            ] },
            { "name": "compress-7b", "status": "skipped", "seconds": 0.0,
              "reason": "10 s of the 6 minutes were left" },
        ],
    })
}

fn write(folder: &Path, name: &str, value: &Value) -> std::path::PathBuf {
    let path = folder.join(name);
    fs::write(&path, value.to_string()).unwrap();
    path
}

#[test]
fn a_run_that_was_cut_off_has_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let results = Results::read(&write(folder.path(), "results.json", &cut_off())).unwrap();
    let text = page::markdown(&results);
    for words in [
        "# NVIDIA H100 80GB HBM3, as the GPU kit found it",
        "**1 of 3 checks against the CPU did not pass.**",
        "| Sums and products against float64 | done | 9 |  |",
        "| Every family: logits, rotation | cut off | - |  |",
        "| Both methods, against the CPU | not reached | - |  |",
        "| Compressing the 7 B shape | skipped | 0 | 10 s of the 6 minutes were left |",
        "| covariance | 2 | 1 | not a number | 1.0e-10 | graded, 6000 x 512 |",
        "- covariance, graded, 6000 x 512: not a number",
        "memory 85.9 GB",
        "- Host: unknown",
    ] {
        assert!(text.contains(words), "{words} in\n{text}");
    }
    // There are no sections about things that were not measured.
    for words in ["## Limits", "## Faults", "## Compressing", "## Tokens per second"] {
        assert!(!text.contains(words), "{words} in\n{text}");
    }
}

#[test]
fn results_of_nothing_have_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let results = write(folder.path(), "results.json", &json!({ "schema": 1 }));
    let text = page::markdown(&Results::read(&results).unwrap());
    assert!(text.contains("Agreement with the CPU was not checked."), "{text}");
    assert!(!text.contains("NaN"), "{text}");
}

fn docs() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("bench")).unwrap();
    let devices = "# Devices\n\nBefore.\n\n\
                   <!-- devices: written by `cargo xtask gpu-page` -->\nold\n\
                   <!-- end of devices -->\n\nAfter.\n";
    fs::write(folder.path().join("devices.md"), devices).unwrap();
    let summary = "# Summary\n\n- [Benchmarks](benchmarks.md)\n  \
                   - [Slicing](bench/compress.md)\n\n# Extend\n";
    fs::write(folder.path().join("SUMMARY.md"), summary).unwrap();
    folder
}

#[test]
fn devices_are_in_one_table() {
    let docs = docs();
    let read = |name: &str| fs::read_to_string(docs.path().join(name)).unwrap();
    let mut software = cut_off();
    software["stages"][0]["lines"] = json!([devices("llvmpipe (LLVM 15, 256 bits)", true)]);
    let software = write(docs.path(), "a.json", &software);
    page::publish(&[software], docs.path()).unwrap();
    let devices = read("devices.md");
    assert!(devices.contains("**No GPU has been measured yet.**"), "{devices}");
    assert!(devices.contains("(a program, no GPU)"), "{devices}");
    assert!(devices.contains("Never measured on a GPU: `cuda`, `vulkan`"), "{devices}");

    let mut hardware = cut_off();
    let lines = [product("float32", 1e14), product("float32", 2.5e14), product("bfloat16", 6e14)];
    hardware["stages"][1]["lines"].as_array_mut().unwrap().extend(lines);
    let hardware = write(docs.path(), "b.json", &hardware);
    for _ in 0..2 {
        page::publish(std::slice::from_ref(&hardware), docs.path()).unwrap();
    }
    let devices = read("devices.md");
    assert!(!devices.contains("No GPU has been measured"), "{devices}");
    assert!(devices.contains("Never measured on a GPU: `cuda`, `wgpu`, `metal`."), "{devices}");
    assert!(
        devices.contains(
            "bench/gpu-nvidia-h100-80gb-hbm3-vulkan.md) | vulkan | unknown | 2026-01-02 | \
             2 of 3 | 250 TFLOP/s | 62.5 %"
        ),
        "{devices}"
    );
    assert!(devices.starts_with("# Devices\n\nBefore.") && devices.ends_with("\n\nAfter.\n"));
    assert!(!devices.contains("old"));
    let page = read("bench/gpu-nvidia-h100-80gb-hbm3-vulkan.md");
    assert!(page.contains("do not edit"), "{page}");
    let summary = read("SUMMARY.md");
    let listed = "(bench/compress.md)\n  - [llvmpipe (LLVM 15, 256 bits), vulkan]\
                  (bench/gpu-llvmpipe-llvm-15-256-bits-vulkan.md)\n  \
                  - [NVIDIA H100 80GB HBM3, vulkan]";
    assert!(summary.contains(listed), "{summary}");
    assert_eq!(summary.matches("bench/gpu-").count(), 2);
}

#[test]
fn other_versions_and_other_documents_are_refused() {
    let docs = docs();
    let newer = write(docs.path(), "a.json", &json!({ "schema": 7 }));
    let error = page::publish(&[newer], docs.path()).unwrap_err();
    assert!(error.to_string().contains("schema 7"), "{error:#}");
    fs::write(docs.path().join("devices.md"), "# Devices\n").unwrap();
    let older = write(docs.path(), "a.json", &json!({ "schema": 1 }));
    let error = format!("{:#}", page::publish(&[older], docs.path()).unwrap_err());
    assert!(error.contains("has no lines"), "{error}");
}
