//! Identities of the method on every family: where nothing is cut, nothing changes, with or without
//! a refit.

use serde_json::Value;
use slicegpt_testkit::{Tensors, Workshop, fixtures, largest_difference, read_json};

/// Every folder of `fixtures/families` with weights.
pub fn families() -> Vec<String> {
    let entries = std::fs::read_dir(fixtures().join("families")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let cases = paths.filter(|path| path.join("expected.safetensors").is_file());
    let names = cases.map(|path| path.file_name().unwrap().to_str().unwrap().to_string());
    let mut names: Vec<String> = names.collect();
    names.sort();
    assert!(names.len() >= 21, "{names:?}");
    names
}

/// Logits of checkpoint `model` for the tokens of the fixture.
fn logits(workshop: &Workshop, model: &str) -> Vec<f64> {
    let tokens = "MODEL/expected.safetensors:input_ids";
    workshop.succeed(&format!("logits {model} --tokens {tokens} --out logits.safetensors"));
    Tensors::read(&workshop.path("logits.safetensors")).values("logits").to_vec()
}

/// The largest difference between the logits of a compression with `options` and of the dense
/// model, relative to the largest logit.
fn difference(workshop: &Workshop, options: &str) -> f64 {
    let dense = logits(workshop, "MODEL");
    let tokens = "--calibration MODEL/expected.safetensors:input_ids";
    workshop.succeed(&format!("compress MODEL --out out --force --dtype f32 {tokens} {options}"));
    let largest = dense.iter().fold(0.0, |largest: f64, x| largest.max(x.abs()));
    largest_difference(&dense, &logits(workshop, "out")) / largest
}

#[test]
fn full_width_is_dense() {
    for family in families() {
        let workshop = Workshop::new(&format!("families/{family}"));
        for options in [
            "--sparsity 0 --refit none",
            "--sparsity 0",
            "--sparsity 0 --refit ridge:10",
            "--sparsity 0 --head untied",
            "--sparsity 0 --orientation random",
            "--sparsity 0 --basis energy",
            "--sparsity 0 --mlp-widths free",
            "--sparsity 0 --method per-layer --refit ridge",
        ] {
            let found = difference(&workshop, options);
            assert!(found < 1e-4, "{family} {options}: {found}");
        }
    }
}

/// A centred stream spans one direction less than its width.
#[test]
fn the_last_direction_is_free_with_layer_norm() {
    for family in ["opt", "opt-untied-gelu", "phi"] {
        let workshop = Workshop::new(&format!("families/{family}"));
        let config = read_json(&workshop.model("config.json"));
        let width = config["hidden_size"].as_u64().unwrap() - 1;
        for refit in ["none", "ridge"] {
            let options = format!("--hidden-size {width} --head untied --refit {refit}");
            let found = difference(&workshop, &options);
            // A norm that divides by one direction less is not what was measured with a refit.
            assert!(found < 1e-4, "{family} {refit}: {found}");
        }
    }
}

/// A control: a real cut changes logits.
#[test]
fn cutting_changes_logits() {
    let workshop = Workshop::new("families/llama2");
    assert!(difference(&workshop, "--sparsity 0.25") > 1e-3);
    assert!(difference(&workshop, "--intermediate-size 32") > 1e-3);
}

/// Channels that write nothing can be removed without loss.
#[test]
fn channels_that_write_nothing_are_free() {
    for (family, down, inner) in [
        ("llama2", "model.layers.0.mlp.down_proj.weight", "intermediate_size"),
        ("opt", "model.decoder.layers.0.fc2.weight", "ffn_dim"),
    ] {
        let workshop = Workshop::new(&format!("families/{family}"));
        let config: Value = read_json(&workshop.model("config.json"));
        let width = config[inner].as_u64().unwrap();
        // The writer weights of every fourth channel of every block are set to zero.
        let mut tensors = Tensors::read(&workshop.model("model.safetensors"));
        let layers = config["num_hidden_layers"].as_u64().unwrap();
        for layer in 0..layers {
            let name = down.replace(".0.", &format!(".{layer}."));
            let (shape, values) = tensors.get(&name).unwrap();
            let (shape, mut values) = (shape.to_vec(), values.to_vec());
            let rows = values.chunks_mut(width as usize);
            rows.for_each(|row| row.iter_mut().step_by(4).for_each(|x| *x = 0.0));
            tensors.insert(&name, &shape, values);
        }
        std::fs::create_dir(workshop.path("silent")).unwrap();
        workshop.write("silent/config.json", config.to_string());
        tensors.write_f32(&workshop.path("silent/model.safetensors"));
        let expected = logits(&workshop, "silent");
        let fewer = width - width.div_ceil(4);
        let options =
            format!("--intermediate-size {fewer} --mlp-widths uniform --dtype f32 --refit none");
        let tokens = "--calibration MODEL/expected.safetensors:input_ids";
        workshop.succeed(&format!("compress silent --out narrow {tokens} {options}"));
        let difference = largest_difference(&expected, &logits(&workshop, "narrow"));
        assert!(difference < 1e-4, "{family}: {difference}");
        assert_eq!(workshop.json("inspect narrow")["intermediate_size"], fewer);
    }
}
