//! [`Agreement`]: compares the results of the binary on a device with those on the CPU. Each check
//! is a difference with a tolerance. The kit and the tests of the binary share these checks.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use slicegpt_testkit::{Tensors, largest_difference};
use tempfile::TempDir;

use crate::program::words;
use crate::{Check, Program};

/// The methods that are compared, and their options. They use 24 samples, because with fewer tokens
/// the directions depend on rounding errors.
pub const METHODS: [(&str, &[&str]); 4] = [
    ("per-layer", &["--method", "per-layer"]),
    ("per-layer, refit", &["--method", "per-layer", "--refit", "ridge"]),
    ("shared, refit", &["--method", "shared"]),
    ("shared", &["--method", "shared", "--refit", "none"]),
];

const CUT: [&str; 4] = ["--sparsity", "0.25", "--samples", "24"];

/// The half-precision types, as the options name them and as `slicegpt devices` names them.
pub const HALVES: [(&str, &str); 2] = [("f16", "float16"), ("bf16", "bfloat16")];

/// Tolerance of the perplexity of a model cut on the device, relative to one cut on the CPU.
const PERPLEXITY: f64 = 1e-3;

/// Tolerance of the perplexity with activations in half precision, relative to float32.
const HALF_PERPLEXITY: f64 = 5e-3;

/// Tolerance of the logits of a fused and rotated model, relative to the largest.
const ROTATED: f64 = 1e-4;

/// Absolute tolerance of logits against those of transformers.
const LOGITS: f64 = 1e-3;

/// Tolerance of the eigenvalues at every cut, relative to the largest.
const SPECTRUM: f64 = 1e-3;

/// The program, the device and the text of the comparisons.
#[derive(Clone, Debug)]
pub struct Agreement {
    /// The binary `slicegpt`.
    pub program: Program,
    /// The device, as options name it.
    pub device: String,
    /// Text that perplexity is measured on.
    pub text: PathBuf,
    /// Time limit of one command.
    pub limit: Duration,
}

/// The result of a check, or why it could not be made.
pub type Checked<T> = Result<T, String>;

impl Agreement {
    /// Runs a command that prints JSON.
    fn json(&self, args: &[OsString]) -> Checked<Value> {
        let finished = self.program.run(args, self.limit).map_err(|error| format!("{error:#}"))?;
        finished.json()
    }

    /// Compresses `model` with a little of the bundled text, and scores it on a little of another.
    fn compress(&self, model: &Path, device: &str, options: &[&str]) -> Checked<(TempDir, Value)> {
        let scratch = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mut args = vec!["compress".into(), model.into(), "--out".into()];
        args.push(scratch.path().join("out").into());
        args.extend(["--eval-text".into(), self.text.clone().into()]);
        args.extend(words(&["--json", "--dtype", "f32", "--seqlen", "96", "--device", device]));
        args.extend(words(&["--eval-max-samples", "4", "--eval-prompts", "0"]));
        args.extend(["--spectra".into(), scratch.path().join("spectra.json").into()]);
        args.extend(words(options));
        let result = self.json(&args)?;
        Ok((scratch, result))
    }

    /// Perplexity before and after, and eigenvalues at every cut, against the CPU in float64.
    ///
    /// # Errors
    ///
    /// Why a run failed.
    pub fn method(&self, model: &Path, (name, options): (&str, &[&str])) -> Checked<Vec<Check>> {
        let began = Instant::now();
        let run = |device: &str, covariance: &str| {
            let options = [options, &CUT, &["--covariance", covariance]].concat();
            self.compress(model, device, &options)
        };
        let (wanted_files, wanted) = run("cpu", "f64")?;
        // The default on every device except the CPU.
        let (found_files, found) = run(&self.device, "split-f32")?;
        let computed = found["device"].as_str().unwrap_or_default();
        if !computed.starts_with(&self.device) || found["covariance"] != "split-f32" {
            return Err(format!("it was computed on {computed}, by {}", found["covariance"]));
        }
        let title = file_name(model);
        let seconds = began.elapsed().as_secs_f64();
        let mut checks = Vec::new();
        for key in ["perplexity_before", "perplexity_after"] {
            let off = relative(number(&found, key)?, number(&wanted, key)?);
            let what = key.trim_start_matches("perplexity_");
            let name = format!("{title}, {name}, {what}");
            checks.push(Check::new("perplexity", name, off, PERPLEXITY, seconds));
        }
        let [wanted, found] = [wanted_files, found_files].map(|files| spectra(files.path()));
        let off = spectra_apart(&found?, &wanted?)?;
        checks.push(Check::new("spectrum", format!("{title}, {name}"), off, SPECTRUM, seconds));
        Ok(checks)
    }

    /// Perplexity after a cut with activations in `dtype`, against that of float32 on the same
    /// device.
    ///
    /// # Errors
    ///
    /// Why a run failed.
    pub fn half(&self, model: &Path, dtype: &str) -> Checked<Check> {
        let began = Instant::now();
        let options = ["--method", "per-layer", "--sparsity", "0.25", "--samples", "8"];
        let run = |dtype: &str| {
            let options = [&options[..], &["--compute-dtype", dtype]].concat();
            let (_scratch, result) = self.compress(model, &self.device, &options)?;
            number(&result, "perplexity_after")
        };
        let (full, half) = (run("f32")?, run(dtype)?);
        if full == half {
            return Err(format!("{dtype} gives what f32 gives: it was not computed in it"));
        }
        let name = format!("{}, {dtype}", file_name(model));
        let seconds = began.elapsed().as_secs_f64();
        Ok(Check::new("half precision", name, relative(half, full), HALF_PERPLEXITY, seconds))
    }

    /// Compares the greedy text of `model` on the device with that on the CPU: 0 if equal, else 1.
    ///
    /// # Errors
    ///
    /// Why a run failed.
    pub fn text(&self, model: &Path, prompt: &str) -> Checked<Check> {
        let began = Instant::now();
        let run = |device: &str| {
            let mut args = vec!["generate".into(), OsString::from(model)];
            args.extend(words(&["--prompt", prompt, "--max-tokens", "32", "--temperature", "0"]));
            args.extend(words(&["--json", "--device", device]));
            Ok::<_, String>(self.json(&args)?["token_ids"].clone())
        };
        let differ = f64::from(run(&self.device)? != run("cpu")?);
        let seconds = began.elapsed().as_secs_f64();
        Ok(Check::new("text", format!("{}, 32 tokens", file_name(model)), differ, 0.0, seconds))
    }

    /// Compares the logits of the model in `case`, fused and rotated, with those of the dense
    /// model. This tests the accuracy of weight edits.
    ///
    /// # Errors
    ///
    /// Why the run failed.
    pub fn rotation(&self, case: &Path) -> Checked<Check> {
        let began = Instant::now();
        let mut args = vec!["verify".into(), OsString::from(case)];
        args.extend(words(&["--device", &self.device, "--max-samples", "1", "--seqlen", "16"]));
        // With the default tolerance, a large difference would be an error without a number.
        args.extend(words(&["--tolerance", "1000", "--json"]));
        let found = number(&self.json(&args)?, "max_rel_logit_diff")?;
        let seconds = began.elapsed().as_secs_f64();
        Ok(Check::new("rotation", file_name(case), found, ROTATED, seconds))
    }

    /// Compares the logits of the model in `case`, with and without padding, with those of
    /// transformers.
    ///
    /// # Errors
    ///
    /// Why a run failed.
    pub fn logits(&self, case: &Path) -> Checked<Vec<Check>> {
        let file = case.join("expected.safetensors");
        let expected = Tensors::read(&file);
        let mut checks = Vec::new();
        for (tokens, name) in [("input_ids", "logits"), ("padded_input_ids", "padded_logits")] {
            let began = Instant::now();
            let Some((shape, want)) = expected.get(name) else { continue };
            let scratch = tempfile::tempdir().map_err(|error| error.to_string())?;
            let out = scratch.path().join("logits.safetensors");
            let mut args = vec!["logits".into(), OsString::from(case), "--tokens".into()];
            args.push(format!("{}:{tokens}", file.display()).into());
            args.extend(["--out".into(), out.clone().into()]);
            args.extend(words(&["--device", &self.device]));
            let finished =
                self.program.run(&args, self.limit).map_err(|error| format!("{error:#}"))?;
            if !finished.status.is_some_and(|status| status.success()) {
                return Err(finished.reason());
            }
            let mut found = Tensors::read(&out).values("logits").to_vec();
            let mask = expected.get("padded_attention_mask");
            if let Some((_, mask)) = mask.filter(|_| name == "padded_logits") {
                for (row, keep) in found.chunks_mut(shape[2]).zip(mask) {
                    row.iter_mut().for_each(|x| *x *= keep);
                }
            }
            let name = format!("{}, {name}", file_name(case));
            let off = largest_difference(&found, want);
            checks.push(Check::new("logits", name, off, LOGITS, began.elapsed().as_secs_f64()));
        }
        Ok(checks)
    }
}

impl Check {
    /// A difference and its tolerance. A NaN does not pass.
    pub fn new(
        group: &str,
        name: impl Into<String>,
        difference: f64,
        tolerance: f64,
        seconds: f64,
    ) -> Self {
        Self {
            group: group.into(),
            name: name.into(),
            difference: difference.is_finite().then_some(difference),
            tolerance,
            passed: difference <= tolerance,
            seconds,
        }
    }
}

/// The difference of `found` from `wanted`, relative to `wanted`.
fn relative(found: f64, wanted: f64) -> f64 {
    (found - wanted).abs() / wanted.abs()
}

/// The last part of a path.
pub fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn number(value: &Value, key: &str) -> Checked<f64> {
    value[key].as_f64().ok_or_else(|| format!("no number `{key}` among the results"))
}

/// The eigenvalues at every cut.
fn spectra(folder: &Path) -> Checked<Vec<Vec<f64>>> {
    let text = std::fs::read_to_string(folder.join("spectra.json"));
    let value: Value = serde_json::from_str(&text.map_err(|error| error.to_string())?)
        .map_err(|error| error.to_string())?;
    let mut all = Vec::new();
    collect(&value, &mut all);
    if all.is_empty() { Err("no eigenvalues among the spectra".into()) } else { Ok(all) }
}

/// Every list of more than one number under a key `eigenvalues`.
fn collect(value: &Value, all: &mut Vec<Vec<f64>>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, all)),
        Value::Object(fields) => {
            for (key, value) in fields {
                match value.as_array().filter(|_| key == "eigenvalues") {
                    Some(values) => all.push(values.iter().filter_map(Value::as_f64).collect()),
                    None => collect(value, all),
                }
            }
        }
        _ => {}
    }
}

/// The largest difference of eigenvalues, relative to the largest of their cut.
fn spectra_apart(found: &[Vec<f64>], wanted: &[Vec<f64>]) -> Checked<f64> {
    if found.len() != wanted.len() || found.iter().zip(wanted).any(|(a, b)| a.len() != b.len()) {
        return Err("the number of eigenvalues differs from that on the CPU".into());
    }
    let apart = |(found, wanted): (&Vec<f64>, &Vec<f64>)| {
        let largest = wanted.iter().fold(0.0, |a: f64, b| a.max(b.abs()));
        largest_difference(found, wanted) / largest
    };
    Ok(found.iter().zip(wanted).map(apart).fold(0.0, f64::max))
}
