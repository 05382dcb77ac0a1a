//! `slicegpt finetune`: what it learns, what it writes, how it goes on, what it refuses.

mod refusals;

use std::time::{Duration, Instant};

use serde_json::Value;
use slicegpt_testkit::{TRAINED, Workshop};

/// Options of a short training on the text in `train.txt`.
const SHORT: &str = "--train train.txt --seqlen 32 --batch 4 --micro-batch 4 --learning-rate 1e-3";

/// A folder with a text, and a model that was cut until it needs training.
fn workshop() -> Workshop {
    let workshop = Workshop::new(TRAINED);
    let line =
        "Lily and Tom went to the park. They saw a big dog. The dog was happy to see them.\n";
    workshop.write("train.txt", line.repeat(60));
    workshop.succeed(
        "compress MODEL --out small --keep-params 0.7 --calibration train.txt --samples 8 \
         --seqlen 32 --refit none",
    );
    workshop
}

fn perplexity(workshop: &Workshop, model: &str) -> f64 {
    let found = workshop.json(&format!("eval ppl {model} --text train.txt --seqlen 32"));
    found["perplexity"].as_f64().unwrap()
}

/// The perplexities of each evaluation of a record.
fn evaluations(record: &Value) -> Vec<f64> {
    let all = record["evaluations"].as_array().unwrap().iter();
    all.map(|evaluation| evaluation["texts"][0]["perplexity"].as_f64().unwrap()).collect()
}

#[test]
fn it_learns_and_writes_the_best_state() {
    let workshop = workshop();
    // The teacher itself is only a little better on this text.
    for (how, share) in [("--full", 0.7), ("--rank 4", 0.7), ("--full --distill MODEL", 0.98)] {
        let command = format!(
            "finetune small --out tuned {SHORT} {how} --eval train.txt --steps 12 --eval-every 4 \
             --dtype f32 --force"
        );
        let record = workshop.json(&command);
        let found = evaluations(&record);
        assert_eq!(found.len(), 4, "{how}: {found:?}");
        let best = found.iter().copied().fold(f64::INFINITY, f64::min);
        assert!(best < share * found[0], "{how}: {found:?}");
        let written = perplexity(&workshop, "tuned");
        assert!((written - best).abs() < 1e-3 * best, "{how}: {written} and {best}");
        let losses = record["curve"].as_array().unwrap();
        assert_eq!(losses.len(), 12);
        assert_eq!(workshop.read_json("tuned/slicegpt-finetune.json")["steps"], 12);
    }
}

#[test]
fn an_adapter_is_the_trained_model() {
    let workshop = Workshop::new("models/ts-phi3");
    let line =
        "Lily and Tom went to the park. They saw a big dog. The dog was happy to see them.\n";
    workshop.write("train.txt", line.repeat(30));
    let training = format!("{SHORT} --rank 3 --alpha 12 --steps 4 --seed 5");
    workshop.succeed(&format!("finetune MODEL --out merged {training} --dtype f32"));
    workshop.succeed(&format!("finetune MODEL --out adapter {training} --adapter"));
    workshop.succeed("merge MODEL adapter --out again --dtype f32");
    let [trained, added] =
        ["merged", "again"].map(|model| workshop.read_json(&format!("{model}/config.json")));
    assert_eq!(trained, added, "both describe the same model");
    let dense = perplexity(&workshop, "MODEL");
    let [merged, again] = ["merged", "again"].map(|model| perplexity(&workshop, model));
    assert!((merged - again).abs() < 1e-4 * again, "{merged} and {again}");
    assert!(merged < 0.95 * dense, "{merged} and {dense}");
}

#[test]
fn an_interrupted_training_goes_on_to_the_same_bytes() {
    let workshop = workshop();
    let training = format!("small {SHORT} --full --steps 40 --eval-every 2 --distill MODEL");
    workshop.succeed(&format!("finetune {training} --out whole"));
    let state = workshop.path("parts.training");
    let mut child = workshop.cli(&format!("finetune {training} --out parts")).start();
    let start = Instant::now();
    while !state.exists() && child.try_wait().unwrap().is_none() {
        assert!(start.elapsed() < Duration::from_secs(120), "no state was written");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(state.exists() && !workshop.path("parts").exists(), "it was killed too late");
    workshop
        .cli(&format!("finetune {training} --out parts"))
        .refuse(&["parts.training", "--resume"]);
    let other = format!("finetune {training} --out parts --resume --learning-rate 2e-3");
    workshop.cli(&other.replace("--learning-rate 1e-3 ", "")).refuse(&["other options"]);
    workshop.succeed(&format!("finetune {training} --out parts --resume"));
    assert!(!state.exists(), "a training that is complete has no state");
    let weights =
        |model: &str| std::fs::read(workshop.path(model).join("model.safetensors")).unwrap();
    assert!(weights("whole") == weights("parts"), "the weights differ");
    let [whole, parts] = ["whole", "parts"]
        .map(|model| workshop.read_json(&format!("{model}/slicegpt-finetune.json")));
    assert_eq!(evaluations(&whole), evaluations(&parts));
}
