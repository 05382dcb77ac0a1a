//! RMSNorm families stay stock checkpoints: ordinary tensors and config, nothing of this project.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use slicegpt_testkit::{Tensors, Workshop, read_json, stored_tensors};

const CUT: &str =
    "compress MODEL --out out --calibration MODEL/expected.safetensors:input_ids --hidden-size 24";

fn names(workshop: &Workshop, directory: &str) -> BTreeSet<String> {
    let directory = match directory {
        "MODEL" => workshop.model(""),
        other => workshop.path(other),
    };
    stored_tensors(&directory).into_iter().map(|(name, ..)| name).collect()
}

#[test]
fn a_stock_checkpoint_has_the_tensors_and_the_fields_of_its_family() {
    for family in ["llama2", "llama31", "mistral", "qwen2", "qwen3", "phi3", "phi4-mini"] {
        let workshop = Workshop::new(&format!("families/{family}"));
        let result = workshop.json(CUT);
        assert_eq!(result["stock"], true, "{family}");
        assert_eq!(names(&workshop, "MODEL"), names(&workshop, "out"), "{family}");
        let (dense, cut) =
            (read_json(&workshop.model("config.json")), workshop.read_json("out/config.json"));
        let [dense, mut cut] = [dense, cut].map(|config| config.as_object().unwrap().clone());
        assert_eq!(cut["hidden_size"], 24, "{family}");
        let eps =
            dense["rms_norm_eps"].as_f64().unwrap() * dense["hidden_size"].as_f64().unwrap() / 24.0;
        assert!((cut["rms_norm_eps"].as_f64().unwrap() - eps).abs() < 1e-12, "{family}");
        assert!(cut["head_dim"].is_u64(), "{family}");
        // The rest is unchanged.
        for field in ["hidden_size", "rms_norm_eps", "head_dim", "tie_word_embeddings"] {
            match dense.get(field) {
                Some(value) => drop(cut.insert(field.into(), value.clone())),
                None => drop(cut.remove(field)),
            }
        }
        assert_eq!(Value::Object(cut), Value::Object(dense), "{family}");
        // The provenance is in a separate file.
        let inspected = workshop.json("inspect out");
        assert_eq!(inspected["slicegpt"]["method"], "shared", "{family}");
        assert_eq!(inspected["slicegpt"]["stock"], true, "{family}");
        assert_eq!(inspected["hidden_size"], 24, "{family}");
    }
}

/// A stock norm divides by the smaller width. Its weight compensates for the part that was cut.
#[test]
fn stock_norms_compensate_for_the_cut() {
    let workshop = Workshop::new("families/llama2");
    workshop.succeed(&format!("{CUT} --refit none"));
    let written = Tensors::read(&workshop.path("out/model.safetensors"));
    let expected = (32f64 / 24.0).sqrt();
    for name in ["model.layers.0.input_layernorm.weight", "model.norm.weight"] {
        let values = written.values(name);
        assert_eq!(values.len(), 24);
        assert!(values.iter().all(|x| (x - expected).abs() < 1e-6), "{name}: {values:?}");
    }
}

/// To this tool too, a stock checkpoint is a dense model.
#[test]
fn a_stock_checkpoint_can_be_cut_again() {
    let workshop = Workshop::new("families/llama2");
    workshop.succeed(CUT);
    workshop.json("verify out");
    let again = "compress out --out again --calibration MODEL/expected.safetensors:input_ids";
    let result = workshop.json(&format!("{again} --hidden-size 16"));
    assert_eq!(result["widths"], json!([16, 16, 16, 16, 16]));
    assert!(workshop.perplexity("again").is_finite());
}

#[test]
fn a_tied_head_stays_tied_by_default() {
    for (family, head) in [("llama31", "lm_head.weight"), ("opt", "lm_head.weight")] {
        let workshop = Workshop::new(&format!("families/{family}"));
        for (option, tied) in [("auto", true), ("tied", true), ("untied", false)] {
            let result = workshop.json(&format!("{CUT} --force --head {option}"));
            assert_eq!(result["tied"], tied, "{family} {option}");
            assert_eq!(workshop.read_json("out/config.json")["tie_word_embeddings"], tied);
            assert_eq!(names(&workshop, "out").contains(head), !tied, "{family} {option}");
            assert!(workshop.perplexity("out").is_finite());
        }
    }
    let workshop = Workshop::new("families/llama2");
    let output = workshop.run(&format!("{CUT} --head tied"));
    assert_eq!(output.code, Some(2));
}

/// LayerNorm families cannot be stock. They have no shortcuts either, and the config describes
/// them.
#[test]
fn layer_norm_families_have_their_own_layout_without_shortcuts() {
    for (family, tied) in [("opt", true), ("opt-untied-gelu", false), ("phi", false)] {
        let workshop = Workshop::new(&format!("families/{family}"));
        let result = workshop.json(&format!("{CUT} --intermediate-size 40"));
        assert_eq!(result["stock"], false, "{family}");
        let names = names(&workshop, "out");
        assert!(names.iter().all(|name| !name.contains("shortcut")), "{family}: {names:?}");
        assert!(names.contains("lm_head.bias"), "{family}");
        let norms: Vec<_> = names.iter().filter(|name| name.contains("norm")).collect();
        assert_eq!(norms.len(), usize::from(tied), "{family}: {norms:?}");
        let config = workshop.read_json("out/config.json");
        assert_eq!(config["slicegpt"]["method"], "shared", "{family}");
        assert_eq!(config["hidden_size"], 32, "{family}");
        let refused = workshop.run("compress out --out again --sparsity 0.25");
        assert_eq!(refused.code, Some(2), "{family}");
    }
}

/// MLPs of different widths leave the family, but are better.
#[test]
fn free_mlp_widths_are_in_the_config() {
    for family in ["llama2", "llama31", "phi3", "qwen2", "opt", "phi"] {
        let workshop = Workshop::new(&format!("families/{family}"));
        let result = workshop.json(&format!("{CUT} --intermediate-size 40 --mlp-widths free"));
        assert_eq!(result["stock"], false, "{family}");
        let sizes = result["intermediate_sizes"].as_array().unwrap();
        let sum: u64 = sizes.iter().map(|size| size.as_u64().unwrap()).sum();
        assert_eq!(sum, 40 * sizes.len() as u64, "{family}: {sizes:?}");
        assert_eq!(
            workshop.json("inspect out")["intermediate_sizes"],
            result["intermediate_sizes"]
        );
        assert!(workshop.perplexity("out").is_finite(), "{family}");

        let mut config = workshop.read_json("out/config.json");
        assert_eq!(config["slicegpt"]["intermediate_sizes"], result["intermediate_sizes"]);
        for wrong in [json!([40]), json!(vec![0; sizes.len()]), json!(vec![5000; sizes.len()])] {
            config["slicegpt"]["intermediate_sizes"] = wrong;
            workshop.write("out/config.json", config.to_string());
            let output = workshop.run("inspect out");
            assert_eq!(output.code, Some(2), "{family}");
            let message = output.stderr;
            assert!(message.contains("slicegpt.intermediate_sizes"), "{message}");
        }
    }
}
