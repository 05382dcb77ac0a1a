//! The trained models of `fixtures/models`: compares with the results recorded when the fixtures
//! were made, and checks what must be true of any trained model.

use serde_json::Value;
use slicegpt_testkit::{Cli, fixtures, is_close, read_json};

/// Other machines sum in another order. A change of the method shows in the third digit or earlier.
const TOLERANCE: f64 = 1e-3;

fn check(model: &str) {
    let root = fixtures();
    let directory = root.join("models").join(model);
    let expected = read_json(&directory.join("expected.json"));
    for (name, run) in expected["runs"].as_object().unwrap() {
        let scratch = tempfile::tempdir().unwrap();
        // Calibrated with the bundled text, which is the default.
        let command = Cli::new("compress --seqlen 256 --dtype f32").arg(&directory);
        let command = command.arg("--out").arg(scratch.path().join("out"));
        let command = command.arg("--eval-text").arg(root.join("text/valid.txt"));
        let options = run["options"].as_array().unwrap().iter().map(|o| o.as_str().unwrap());
        let found = command.args(options).json();
        for key in ["widths", "params_before", "params_after"] {
            assert_eq!(found[key], run[key], "{model} {name}: {key}");
        }
        let number = |json: &Value, key: &str| json[key].as_f64().unwrap();
        for key in ["perplexity_before", "perplexity_after"] {
            let (found, expected) = (number(&found, key), number(run, key));
            let close = is_close(found, expected, TOLERANCE);
            assert!(close, "{model} {name}: {key} is {found}, was {expected}");
        }
        let ratio = number(&found, "perplexity_after") / number(&found, "perplexity_before");
        // Small models may even improve on text they were not trained on.
        assert!((0.97..1.25).contains(&ratio), "{model} {name}: perplexity times {ratio}");
    }
}

#[test]
fn llama() {
    check("ts-llama3-gqa");
}

#[test]
fn opt() {
    check("ts-opt");
}

#[test]
fn phi() {
    check("ts-phi");
}

#[test]
fn phi3() {
    check("ts-phi3");
}
