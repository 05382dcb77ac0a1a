//! Compares every family with logits of Hugging Face transformers, and tests the identities that
//! define the method. The checkpoints under `fixtures/families` are random and tiny; `make.py`
//! there made them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use slicegpt_testkit::{Cli, Tensors, fixtures, largest_difference};
use tempfile::TempDir;

/// Every folder under `fixtures/families` with weights.
fn cases() -> Vec<PathBuf> {
    let mut cases: Vec<PathBuf> = std::fs::read_dir(fixtures().join("families"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("expected.safetensors").is_file())
        .collect();
    cases.sort();
    assert!(cases.len() >= 21, "{} families", cases.len());
    cases
}

/// The logits of `model` for tensor `tokens` in the expected file of `case`.
fn logits(model: &Path, case: &Path, tokens: &str) -> Vec<f64> {
    let scratch = tempfile::tempdir().unwrap();
    let out = scratch.path().join("logits.safetensors");
    let tokens = format!("{}:{tokens}", case.join("expected.safetensors").display());
    let command = Cli::new("logits").arg(model).arg("--tokens").arg(tokens);
    command.arg("--out").arg(&out).succeed();
    Tensors::read(&out).values("logits").to_vec()
}

/// Compresses `case` with `options` on its own tokens.
fn compress(case: &Path, options: &[&str]) -> (TempDir, PathBuf, Value) {
    let scratch = tempfile::tempdir().unwrap();
    let out = scratch.path().join("out");
    let command = Cli::new("compress --method per-layer").arg(case).arg("--out").arg(&out);
    let tokens = case.join("expected.safetensors");
    let result = command.arg("--calibration").arg(tokens).args(options).json();
    (scratch, out, result)
}

fn scale(logits: &[f64]) -> f64 {
    logits.iter().fold(0.0, |largest, x| x.abs().max(largest))
}

#[test]
fn logits_are_those_of_transformers() {
    for case in cases() {
        let expected = Tensors::read(&case.join("expected.safetensors"));
        for (tokens, name) in [
            ("input_ids", "logits"),
            ("short_input_ids", "short_logits"),
            ("padded_input_ids", "padded_logits"),
        ] {
            let Some((shape, want)) = expected.get(name) else { continue };
            let mut found = logits(&case, &case, tokens);
            if let Some((_, mask)) = expected.get("padded_attention_mask")
                && name == "padded_logits"
            {
                for (row, keep) in found.chunks_mut(shape[2]).zip(mask) {
                    row.iter_mut().for_each(|x| *x *= keep);
                }
            }
            let difference = largest_difference(&found, want);
            assert!(difference < 1e-4, "{}: {name} differ by {difference}", case.display());
        }
    }
}

#[test]
fn fusing_and_rotating_change_nothing() {
    for case in cases() {
        let result = Cli::new("verify").arg(&case).json();
        let difference = result["max_rel_logit_diff"].as_f64().unwrap();
        assert!(difference < 1e-5, "{}: {difference}", case.display());
    }
}

#[test]
fn full_width_cuts_nothing() {
    for case in cases() {
        let dense = logits(&case, &case, "input_ids");
        for orientation in ["pca", "random"] {
            let options = ["--sparsity", "0", "--orientation", orientation, "--dtype", "f32"];
            let (_scratch, out, _) = compress(&case, &options);
            let sliced = logits(&out, &case, "input_ids");
            let difference = largest_difference(&dense, &sliced) / scale(&dense);
            assert!(difference < 1e-5, "{} {orientation}: {difference}", case.display());
        }
    }
}

/// A centred stream spans one direction less than it is wide; an RMSNorm stream does not.
#[test]
fn the_last_direction_is_free_with_layer_norm() {
    for case in cases() {
        let config: Value =
            serde_json::from_slice(&std::fs::read(case.join("config.json")).unwrap()).unwrap();
        let centres = ["opt", "phi"].contains(&config["model_type"].as_str().unwrap());
        let hidden_size = config["hidden_size"].as_u64().unwrap();
        let sparsity = (1.0 / hidden_size as f64).to_string();
        let options =
            ["--sparsity", &sparsity, "--round-to", "1", "--slice-head", "--dtype", "f32"];
        let (_scratch, out, result) = compress(&case, &options);
        let widths = result["widths"].as_array().unwrap();
        assert!(widths.iter().all(|width| *width == hidden_size - 1), "{widths:?}");
        let dense = logits(&case, &case, "input_ids");
        let sliced = logits(&out, &case, "input_ids");
        let difference = largest_difference(&dense, &sliced) / scale(&dense);
        assert_eq!(difference < 1e-4, centres, "{}: {difference}", case.display());
    }
}

#[test]
fn the_plan_is_what_is_written() {
    for case in cases() {
        for options in [&["--sparsity", "0.25"][..], &["--sparsity", "0.4", "--slice-head"][..]] {
            let plan = Cli::new("plan --method per-layer").arg(&case).args(options).json();
            let (_scratch, out, result) = compress(&case, options);
            let inspected = Cli::new("inspect").arg(&out).json();
            for (key, other) in [
                ("params_before", "params_before"),
                ("params_after", "params_after"),
                ("widths", "widths"),
            ] {
                assert_eq!(plan[key], result[other], "{}: {key}", case.display());
            }
            assert_eq!(plan["params_after"], inspected["params"]);
            assert_eq!(result["bytes_after"], inspected["bytes"]);
            assert_eq!(plan["real_reduction"], inspected["slicegpt"]["real_reduction"]);
            // The output is a model by itself: no option has to be repeated.
            assert!(scale(&logits(&out, &case, "input_ids")).is_finite());
        }
    }
}

/// All files of a checkpoint, except those that contain measurements.
fn contents(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let measured = ["README.md", "slicegpt-report.json"];
    std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let bytes = std::fs::read(entry.path()).unwrap();
            (entry.file_name().into_string().unwrap(), bytes)
        })
        .filter(|(name, _)| !measured.contains(&name.as_str()))
        .collect()
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    for case in cases() {
        let run = |seed| {
            let options = ["--orientation", "random", "--seed", seed, "--max-shard-size", "20kB"];
            let (_scratch, out, _) = compress(&case, &options);
            contents(&out)
        };
        let first = run("1");
        assert!(first == run("1"), "{}", case.display());
        assert!(first != run("2"), "{}", case.display());
        assert!(first.keys().any(|name| name == "model.safetensors.index.json"));
    }
}

#[test]
fn opt_350m_is_refused_with_the_reason() {
    let case = fixtures().join("families/opt-350m-shape");
    Cli::new("plan").arg(case).refuse(&["normalises after the residual sum"]);
}
