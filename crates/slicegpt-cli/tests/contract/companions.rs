//! The files next to the weights: copied files, `config.json`, the model card, and what happens to
//! an older output.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use slicegpt_testkit::{TRAINED, Workshop, fixtures, read_json};

/// What is written where a cut leaves the family.
const WRITTEN: [&str; 6] = [
    "README.md",
    "config.json",
    "configuration_slicegpt.py",
    "model.safetensors",
    "modeling_slicegpt.py",
    "slicegpt-report.json",
];

fn files(workshop: &Workshop, directory: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(workshop.path(directory)).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn tokenizer_and_generation_files_are_copied_byte_for_byte() {
    let workshop = Workshop::new(TRAINED);
    workshop.json("compress MODEL --out out --method per-layer --samples 2 --seqlen 32");
    let companions = [
        "generation_config.json",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ];
    for name in companions {
        let [dense, sliced] = [workshop.model(name), workshop.path("out").join(name)]
            .map(|path| std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())));
        assert!(dense == sliced, "{name}");
    }
    let all = companions.into_iter().chain(WRITTEN).map(String::from).collect();
    assert_eq!(files(&workshop, "out"), all);
    // They are enough to score text.
    workshop.json("eval ppl out --text FIXTURES/text/valid.txt --seqlen 64 --max-samples 1");
}

#[test]
fn the_config_says_how_it_was_made() {
    let workshop = Workshop::new("families/llama2");
    let tokens = "--calibration MODEL/expected.safetensors:padded_input_ids --samples 2";
    let result = workshop.json(&format!(
        "compress MODEL --out out --method per-layer --sparsity 0.25 --seed 7 {tokens}"
    ));
    let config = workshop.read_json("out/config.json");
    let section = &config["slicegpt"];
    assert_eq!(section["format"], 1);
    assert_eq!(section["method"], "per-layer");
    assert_eq!(section["widths"], json!([24, 24, 24, 24, 32]));
    assert_eq!(section["nominal_sparsity"], 0.25);
    assert_eq!(section["seed"], 7);
    assert_eq!(section["tool_version"], format!("slicegpt {}", env!("CARGO_PKG_VERSION")));
    for key in ["widths", "real_reduction", "params_before", "params_after", "calibration"] {
        assert_eq!(section[key], result[key], "{key}");
    }
    let calibration = &section["calibration"];
    assert_eq!(calibration["source"], "expected.safetensors:padded_input_ids");
    assert_eq!((&calibration["samples"], &calibration["seqlen"]), (&json!(2), &json!(24)));
    // Five tokens are padding.
    assert_eq!(calibration["tokens"], 43);
    let digest = calibration["digest"].as_str().unwrap();
    assert!(digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit()), "{digest}");

    // The rest is unchanged.
    let mut rest = config.as_object().unwrap().clone();
    rest.remove("slicegpt");
    let map = rest.remove("auto_map").unwrap();
    assert_eq!(map["AutoModelForCausalLM"], "modeling_slicegpt.SliceGPTForCausalLM");
    assert_eq!(rest.remove("architectures").unwrap(), json!(["SliceGPTForCausalLM"]));
    let mut dense = read_json(&workshop.model("config.json"));
    dense.as_object_mut().unwrap().remove("architectures");
    assert_eq!(Value::Object(rest), dense);
}

#[test]
fn the_digest_is_that_of_the_samples() {
    let workshop = Workshop::new("families/llama2");
    let digest = |options: &str| {
        let tokens = "--calibration MODEL/expected.safetensors";
        let command = format!("compress MODEL --force --out out {tokens}{options}");
        workshop.json(&command)["calibration"]["digest"].clone()
    };
    let first = digest(" --samples 2");
    assert_eq!(first, digest(" --samples 2 --seed 5 --sparsity 0.5"));
    for other in [" --samples 1", " --samples 2 --seqlen 23", ":padded_input_ids --samples 2"] {
        assert_ne!(first, digest(other), "{other}");
    }
}

#[test]
fn the_model_card_tells_the_two_fractions_apart() {
    let workshop = Workshop::new("families/llama2");
    let tokens = "--calibration MODEL/expected.safetensors --samples 2";
    workshop.json(&format!("compress MODEL --method per-layer --sparsity 0.25 --out out {tokens}"));
    let card = std::fs::read_to_string(workshop.path("out/README.md")).unwrap();
    let line = |words: &str| {
        card.lines().find(|line| line.contains(words)).unwrap_or_else(|| panic!("{words}: {card}"))
    };
    assert!(line("nominal").contains("25.0 %"), "{card}");
    assert!(line("real").contains("9.9 %"), "{card}");
    assert!(line("seed").contains("42"), "{card}");
    assert!(line("digest").contains("sha256"), "{card}");
    assert!(card.contains("llama2"), "{card}");
}

#[test]
fn force_replaces_all_of_an_older_output() {
    let workshop = Workshop::new("families/llama2");
    let compress = |options: &str| {
        let tokens = "--calibration MODEL/expected.safetensors --samples 2";
        workshop.json(&format!("compress MODEL --method per-layer --out out {tokens} {options}"))
    };
    compress("--max-shard-size 20kB");
    workshop.write("out/NOTICE", "of the older one");
    compress("--force --sparsity 0.5");
    assert_eq!(files(&workshop, "out"), WRITTEN.map(String::from).into());
    let inspected = workshop.json("inspect out");
    assert_eq!(inspected["slicegpt"]["nominal_sparsity"], 0.5);
    // Nothing else is left next to it.
    assert_eq!(files(&workshop, "."), ["out".to_string()].into());
}

/// A user's notes next to the weights are not deleted.
#[test]
fn force_deletes_only_files_of_a_checkpoint() {
    let workshop = Workshop::new("families/llama2");
    let command = "compress MODEL --out out --calibration MODEL/expected.safetensors --samples 2";
    workshop.succeed(command);
    workshop.write("out/notes.txt", "mine");
    let output = workshop.run(&format!("{command} --force"));
    assert_eq!(output.code, Some(2));
    assert!(output.stderr.contains("notes.txt"), "{}", output.stderr);
    assert_eq!(std::fs::read_to_string(workshop.path("out/notes.txt")).unwrap(), "mine");
}

#[test]
fn an_empty_folder_is_filled_and_missing_ones_are_made() {
    let workshop = Workshop::new("families/llama2");
    std::fs::create_dir(workshop.path("empty")).unwrap();
    for out in ["empty", "a/b/c", "./d/../e", "with-slash/"] {
        std::fs::create_dir_all(workshop.path("d")).unwrap();
        let tokens = "--calibration MODEL/expected.safetensors --samples 2";
        workshop.json(&format!("compress MODEL --out {out} {tokens}"));
        assert!(workshop.path(out).join("config.json").is_file(), "{out}");
        workshop.json(&format!("inspect {out}"));
    }
    // The fixture itself is unchanged.
    assert!(!fixtures().join("families/llama2/README.md").exists());
}

#[cfg(unix)]
#[test]
fn an_output_is_as_readable_as_any_new_folder() {
    use std::os::unix::fs::PermissionsExt;
    let workshop = Workshop::new("families/llama2");
    let tokens = "--calibration MODEL/expected.safetensors --samples 2";
    workshop.json(&format!("compress MODEL --out out {tokens}"));
    std::fs::create_dir(workshop.path("ordinary")).unwrap();
    workshop.write("ordinary/file", "");
    let mode =
        |name: &str| std::fs::metadata(workshop.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("out"), mode("ordinary"));
    for file in files(&workshop, "out") {
        assert_eq!(mode(&format!("out/{file}")), mode("ordinary/file"), "{file}");
    }
}
