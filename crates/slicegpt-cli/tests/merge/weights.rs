//! Merged weights are `W + scale B A`, for dense and sliced models.

use std::path::Path;

use slicegpt_adapters::{Adapter, Factors};
use slicegpt_testkit::{Tensors, Workshop, largest_difference};

use crate::made::{self, ALPHA};

/// The weight of a module before (`W`) with the product added, in float64.
fn expected(before: &[f64], factors: &Factors) -> Vec<f64> {
    let Factors { rank, inputs, a, b, .. } = factors;
    let scale = ALPHA / *rank as f64;
    let product = |row: usize, column: usize| -> f64 {
        let terms =
            (0..*rank).map(|k| f64::from(b[row * rank + k]) * f64::from(a[k * inputs + column]));
        terms.sum()
    };
    let change = |(i, w): (usize, &f64)| w + scale * product(i / inputs, i % inputs);
    before.iter().enumerate().map(change).collect()
}

/// Compares all tensors of two files of weights.
fn compare(before: &Path, after: &Path, factors: &[Factors]) {
    let [before, after] =
        [before, after].map(|path| Tensors::read(&path.join("model.safetensors")));
    assert!(before.names().eq(after.names()));
    let mut merged = 0;
    for name in before.names() {
        let (shape, values) = before.get(name).unwrap();
        let (merged_shape, found) = after.get(name).unwrap();
        assert_eq!(shape, merged_shape, "{name}");
        match factors.iter().find(|factors| name.strip_suffix(".weight") == Some(&factors.module)) {
            Some(factors) => {
                merged += 1;
                let difference = largest_difference(&expected(values, factors), found);
                assert!(difference < 1e-6, "{name}: {difference}");
                assert!(largest_difference(values, found) > 1e-3, "{name} did not change");
            }
            None => assert_eq!(values, found, "{name} changed"),
        }
    }
    assert_eq!(merged, factors.len());
}

#[test]
fn merged_weights_are_the_sum() {
    let workshop = Workshop::new("families/llama2");
    let factors = made::write_for(&workshop.model(""), &workshop.path("adapter"));
    let result = workshop.json("merge MODEL adapter --out out");
    compare(&workshop.model(""), &workshop.path("out"), &factors);
    assert_eq!(result["merged"], factors.len());
    assert_eq!((&result["rank"], &result["alpha"]), (&2.into(), &ALPHA.into()));
    for (key, expected) in [("out", "out"), ("dtype", "float32"), ("trained_on", "org/base")] {
        assert_eq!(result[key], expected, "{key}");
    }
    assert_eq!(result["params"], workshop.json("inspect MODEL")["params"]);
    let change = result["relative_change"].as_f64().unwrap();
    let most = result["most_changed"]["relative_change"].as_f64().unwrap();
    assert!(change > 0.0 && change <= most, "{result}");
    // The output is a model, with other logits.
    let inspected = workshop.json("inspect out");
    assert_eq!(inspected["model_type"], "llama");
    let scores = ["MODEL", "out"].map(|model| workshop.perplexity(model));
    assert!(scores[0] != scores[1], "{scores:?}");
}

/// An adapter that PEFT made, and what it computes with it.
#[test]
fn merged_models_compute_what_peft_does() {
    let workshop = Workshop::new("models/ts-llama3-gqa");
    let adapter = "FIXTURES/adapters/ts-llama3-gqa";
    let result = workshop.json(&format!("merge MODEL {adapter} --out out --dtype f32"));
    assert_eq!([&result["merged"], &result["replaced"]], [8, 9]);
    let tokens = format!("--tokens {adapter}/expected.safetensors");
    workshop.succeed(&format!("logits out {tokens} --out logits.safetensors --device cpu"));
    let expected = slicegpt_testkit::fixtures().join("adapters/ts-llama3-gqa/expected.safetensors");
    let expected = Tensors::read(&expected);
    let expected = expected.values("logits");
    let logits = Tensors::read(&workshop.path("logits.safetensors"));
    let most = expected.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
    let difference = largest_difference(expected, logits.values("logits"));
    assert!(difference < 1e-5 * most, "{difference} of {most}");
}

#[test]
fn the_type_and_the_size_of_files_can_be_chosen() {
    let workshop = Workshop::new("families/llama2");
    made::write_for(&workshop.model(""), &workshop.path("adapter"));
    let result = workshop.json("merge MODEL adapter --out out --dtype bf16 --max-shard-size 20KB");
    assert!(result["files"].as_array().unwrap().len() > 1, "{result}");
    assert_eq!(workshop.read_json("out/config.json")["dtype"], "bfloat16");
    assert_eq!(workshop.json("inspect out")["dtype"], "bfloat16");
    // In several parts, the result is the same.
    workshop.succeed("merge MODEL adapter --out one --dtype bf16");
    let scores = ["one", "out"].map(|model| workshop.perplexity(model));
    assert_eq!(scores[0], scores[1]);
}

/// Names in the checkpoint lack the prefix that modules have in transformers, and the weights are
/// a pickle.
#[test]
fn names_are_those_of_transformers() {
    let workshop = Workshop::new("families/opt-bin");
    let name = "model.decoder.layers.0.fc1";
    let config = workshop.json("inspect MODEL");
    assert_eq!(config["model_type"], "opt");
    let size = slicegpt_testkit::read_json(&workshop.model("config.json"));
    let shape = ["ffn_dim", "hidden_size"].map(|key| size[key].as_u64().unwrap() as usize);
    let factors = made::factors([(name, shape)]);
    made::adapter(factors).write(&workshop.path("adapter"), None, false).unwrap();
    let result = workshop.json("merge MODEL adapter --out out");
    assert_eq!(result["merged"], 1);
    assert_eq!(result["most_changed"]["tensor"], format!("{name}.weight"));
    let names = slicegpt_testkit::stored_tensors(&workshop.path("out"));
    assert!(names.iter().any(|(name, ..)| name == "decoder.layers.0.fc1.weight"));
}

#[test]
fn sliced_models_take_adapters_of_their_own() {
    let workshop = Workshop::new("families/llama2");
    let calibration = "--calibration MODEL/expected.safetensors:padded_input_ids --samples 2";
    for (method, stock) in
        [("shared --keep-params 0.8", true), ("per-layer --sparsity 0.25", false)]
    {
        let name = if stock { "stock" } else { "custom" };
        workshop.succeed(&format!("compress MODEL --out {name} --method {method} {calibration}"));
        let small = workshop.path(name);
        let factors = made::write_for(&small, &workshop.path(&format!("{name}-adapter")));
        workshop.succeed(&format!("merge {name} {name}-adapter --out {name}-out"));
        compare(&small, &workshop.path(&format!("{name}-out")), &factors);
        let [before, after] = [name.to_string(), format!("{name}-out")]
            .map(|it| workshop.json(&format!("inspect {it}")));
        for key in ["params", "widths", "model_type"] {
            assert_eq!(before[key], after[key], "{name}: {key}");
        }
        let files = |file: &str| workshop.path(&format!("{name}-out/{file}")).is_file();
        assert_eq!(files("slicegpt.json"), stock);
        assert_eq!(files("modeling_slicegpt.py"), !stock);
        workshop.perplexity(&format!("{name}-out"));
        // An adapter of the dense model has other shapes.
        made::write_for(&workshop.model(""), &workshop.path(&format!("{name}-dense")));
        let says = ["in", name, "it has shape", "made for another model"];
        workshop.cli(&format!("merge {name} {name}-dense --out x")).refuse(&says);
        assert!(!workshop.path("x").exists());
    }
}

/// An adapter that changes nothing leaves every tensor as it is, and is warned about.
#[test]
fn an_untrained_adapter_is_warned_about() {
    let workshop = Workshop::new("families/llama2");
    let modules = made::modules(&workshop.model(""), "");
    let mut factors = made::factors(modules.iter().map(|(name, shape)| (name.as_str(), *shape)));
    factors.iter_mut().for_each(|factors| factors.b.fill(0.0));
    made::adapter(factors).write(&workshop.path("adapter"), None, false).unwrap();
    let run = workshop.succeed("merge MODEL adapter --out out");
    assert!(run.stderr.contains("warning: adapter: the adapter changes nothing"), "{}", run.stderr);
    compare(&workshop.model(""), &workshop.path("out"), &[]);
}

/// The head of a tied model becomes a matrix of its own when the adapter changes it alone.
#[test]
fn a_tied_head_is_written_when_it_differs() {
    let workshop = Workshop::new("families/llama31");
    let config = slicegpt_testkit::read_json(&workshop.model("config.json"));
    assert_eq!(config["tie_word_embeddings"], true);
    let shape = ["vocab_size", "hidden_size"].map(|key| config[key].as_u64().unwrap() as usize);
    made::adapter(made::factors([("lm_head", shape)]))
        .write(&workshop.path("adapter"), None, false)
        .unwrap();
    let run = workshop.succeed("merge MODEL adapter --out out");
    assert!(run.stderr.contains("written as two"), "{}", run.stderr);
    assert_eq!(workshop.read_json("out/config.json")["tie_word_embeddings"], false);
    let merged = Tensors::read(&workshop.path("out/model.safetensors"));
    let embedding = merged.values("model.embed_tokens.weight");
    let factors = Adapter::open(workshop.path("adapter")).unwrap().factors("lm_head").unwrap();
    let head = expected(embedding, &factors.unwrap());
    assert!(largest_difference(&head, merged.values("lm_head.weight")) < 1e-6);
    let before = Tensors::read(&workshop.model("model.safetensors"));
    assert_eq!(before.values("model.embed_tokens.weight"), embedding);
}
