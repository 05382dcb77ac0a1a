//! Every result of the reference implementation. `cargo xtask test --reference DIR` runs these
//! tests: DIR holds the models and what the reference computed on them.
//!
//! The reference subtracts the mean of each embedding row even for RMSNorm models, which is a
//! defect. Runs tagged `fixed_*` do not have it. For the other runs, our code gets a copy of the
//! model with a centred embedding.

use std::path::{Path, PathBuf};

use serde_json::Value;
use slicegpt_testkit::{Cli, Tensors, is_close, largest_difference, read_json, reference};
use tempfile::TempDir;

struct Case {
    tokens: String,
    golden: Value,
    tensors: Tensors,
    dense: PathBuf,
    /// The model with a centred embedding, as the defect of the reference leaves it; for LayerNorm
    /// models the model itself.
    centred: PathBuf,
    scratch: TempDir,
}

impl Case {
    /// Folder `name` of the reference's results.
    fn open(name: &str) -> Self {
        let root = reference();
        let folder = root.join("golden").join(name);
        let golden = read_json(&folder.join("golden.json"));
        let dense = root.join("models").join(name.trim_end_matches("-padded"));
        let scratch = tempfile::tempdir().unwrap();
        let model_type = &golden["dense"]["model_type"];
        let centred = if model_type == "llama" || model_type == "phi3" {
            centre_embedding(&dense, &scratch.path().join("centred"))
        } else {
            dense.clone()
        };
        let tokens = folder.join("golden.safetensors");
        let tensors = Tensors::read(&tokens);
        let tokens = tokens.to_str().unwrap().to_string();
        Self { tokens, golden, tensors, dense, centred, scratch }
    }

    fn perplexity(&self, model: &Path) -> f64 {
        let tokens = format!("{}:eval_input_ids", self.tokens);
        let mut command = Cli::new("eval ppl").arg(model).args(["--tokens", &tokens]);
        // The reference ignores the pad id when it is not 0.
        let pad = self.golden["dense"]["pad_token_id_used_by_ppl"].to_string();
        if pad != "0" {
            command = command.args(["--ignore-token-id", &pad]);
        }
        command.json()["perplexity"].as_f64().unwrap()
    }

    fn check_logits(&self, model: &Path, tag: &str) {
        let Some((shape, expected)) = self.tensors.get(&format!("logits.{tag}")) else { return };
        let out = self.scratch.path().join("logits.safetensors");
        let tokens = format!("{}:prompt_input_ids", self.tokens);
        let command = Cli::new("logits").arg(model).args(["--tokens", &tokens, "--out"]);
        command.arg(&out).succeed();
        let found = Tensors::read(&out);
        let (found_shape, found) = found.get("logits").unwrap();
        assert_eq!(found_shape, shape);
        let difference = largest_difference(found, expected);
        assert!(difference < 2e-3, "{tag}: logits differ by {difference}");
    }

    fn check_eigenvalues(&self, spectra: &Value, tag: &str) {
        for (cut, spectrum) in spectra.as_array().unwrap().iter().enumerate() {
            let name = format!("eigenvalues.{tag}.{cut}");
            let Some((_, expected)) = self.tensors.get(&name) else { continue };
            let found: Vec<f64> = spectrum["eigenvalues"]
                .as_array()
                .unwrap()
                .iter()
                .map(|x| x.as_f64().unwrap())
                .collect();
            let difference = largest_difference(&found, expected) / expected[0];
            assert!(difference < 1e-5, "{name}: off by {difference} of the largest");
        }
    }

    /// Compresses as in run `tag` and compares all results.
    fn check_run(&self, tag: &str, run: &Value, tolerance: f64) {
        let model = if tag.starts_with("fixed_") { &self.dense } else { &self.centred };
        let out = self.scratch.path().join("out");
        let spectra = self.scratch.path().join("spectra.json");
        let calibration = format!("{}:cal_input_ids", self.tokens);
        let (sparsity, round_to) = (run["sparsity"].to_string(), run["round_interval"].to_string());
        let mut args = vec!["--calibration", &calibration];
        let linear = tag.starts_with("linear_sched");
        // The reference records no sparsity for linear schedules, which go from 10 to 30 %.
        let round_to = match (linear, tag.contains("slicehead")) {
            (true, true) => "8",
            (true, false) => "1",
            (false, _) => &round_to,
        };
        args.extend(["--round-to", round_to]);
        if linear {
            args.extend(["--sparsity", "0.1", "--sparsity-end", "0.3"]);
        } else {
            args.extend(["--sparsity", &sparsity]);
        }
        if tag.contains("slicehead") {
            args.push("--slice-head");
        }
        args.extend(["--orientation", run["final_orientation"].as_str().unwrap_or("pca")]);
        let command = Cli::new("compress --method per-layer --force").arg(model).args(args);
        let result = command.arg("--out").arg(&out).arg("--spectra").arg(&spectra).json();

        assert_eq!(result["widths"], widths(&run["slicing_conf"]), "{tag}");
        assert_eq!(result["params_after"], run["sliced_params"], "{tag}");
        let (found, expected) = (self.perplexity(&out), run["sliced_ppl"].as_f64().unwrap());
        let close = is_close(found, expected, tolerance);
        assert!(close, "{tag}: perplexity {found}, not {expected}");
        self.check_logits(&out, tag);
        self.check_eigenvalues(&read_json(&spectra), tag);
        println!("{tag}: perplexity {found} (reference {expected})");
    }
}

/// The per-layer dimensions of the reference as the widths of the cuts.
fn widths(conf: &Value) -> Value {
    let layers = conf["layers_num"].as_u64().unwrap();
    let mut widths = vec![conf["embedding_dimensions"]["0"].clone()];
    for layer in 0..layers {
        let layer = layer.to_string();
        if conf["parallel_blocks"] == false {
            widths.push(conf["attention_output_dimensions"][&layer].clone());
        }
        widths.push(conf["mlp_output_dimensions"][&layer].clone());
    }
    Value::Array(widths)
}

/// A copy of `model` with the mean of each embedding row subtracted, and the head as it was.
fn centre_embedding(model: &Path, copy: &Path) -> PathBuf {
    std::fs::create_dir(copy).unwrap();
    let mut tensors = Tensors::read(&model.join("model.safetensors"));
    let name = "model.embed_tokens.weight";
    let (shape, values) = tensors.get(name).unwrap();
    let (shape, values) = (shape.to_vec(), values.to_vec());
    if tensors.get("lm_head.weight").is_none() {
        tensors.insert("lm_head.weight", &shape, values.clone());
    }
    let centred = values.chunks(shape[1]).flat_map(|row| {
        let mean = row.iter().sum::<f64>() / row.len() as f64;
        row.iter().map(move |x| x - mean)
    });
    tensors.insert(name, &shape, centred.collect());
    tensors.write_f32(&copy.join("model.safetensors"));
    let mut config = read_json(&model.join("config.json"));
    config["tie_word_embeddings"] = false.into();
    std::fs::write(copy.join("config.json"), config.to_string()).unwrap();
    copy.to_path_buf()
}

/// Compares everything in folder `name` of the reference's results.
fn check(name: &str, tolerance: f64) {
    let case = Case::open(name);
    let dense = &case.golden["dense"];
    let (found, expected) = (case.perplexity(&case.dense), dense["dense_ppl"].as_f64().unwrap());
    let close = is_close(found, expected, tolerance);
    assert!(close, "dense perplexity {found}, not {expected}");
    let fused = dense["fused_ppl"].as_f64().unwrap();
    let found = case.perplexity(&case.centred);
    let close = is_close(found, fused, tolerance);
    assert!(close, "fused perplexity {found}, not {fused}");
    case.check_logits(&case.dense, "dense");
    case.check_logits(&case.centred, "fused");
    case.check_logits(&case.dense, "fixed_fused");
    let mut checked = 0;
    for (tag, run) in case.golden["runs"].as_object().unwrap() {
        // A run with the same widths under another tag is checked once.
        if run.get("identical_to").is_none() {
            case.check_run(tag, run, tolerance);
            checked += 1;
        }
    }
    assert!(checked > 0, "no run in {name}");
}

macro_rules! golden {
    ($($test:ident $folder:literal $tolerance:literal;)*) => {
        $(
            #[test]
            #[ignore = "needs the reference models: cargo xtask test --reference DIR"]
            fn $test() {
                check($folder, $tolerance);
            }
        )*
    };
}

golden! {
    babyllama "babyllama-1m-tok105" 5e-4;
    stories "stories260K" 1e-4;
    tiny_llama "tiny-llama" 1e-4;
    tiny_llama_padded "tiny-llama-padded" 1e-4;
    tiny_opt "tiny-opt" 1e-4;
    tiny_opt_padded "tiny-opt-padded" 1e-4;
    tiny_phi "tiny-phi2" 1e-4;
    tiny_phi_padded "tiny-phi2-padded" 1e-4;
    tiny_phi3 "tiny-phi3" 1e-4;
    tiny_phi3_padded "tiny-phi3-padded" 1e-4;
    ts_llama "ts-llama3-gqa" 1e-4;
    ts_opt "ts-opt" 1e-4;
    ts_phi "ts-phi" 1e-4;
    ts_phi3 "ts-phi3" 1e-4;
}
