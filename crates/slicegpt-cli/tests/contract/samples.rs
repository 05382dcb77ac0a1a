//! Calibration data: every kind of text and token file, text sampled from the model, and the
//! warning if there is too little.

use serde_json::{Value, json};
use slicegpt_testkit::{TRAINED, Workshop};

/// A story of `sentences` sentences.
fn story(sentences: usize) -> String {
    let names = ["Tom", "Lily", "Ben", "Mia", "Sam"];
    let story = (0..sentences).map(|i| {
        format!("Once upon a time {} had {} toys and a big red ball. ", names[i % 5], i + 2)
    });
    story.collect()
}

/// Compresses the trained model with these options and returns the reported calibration.
fn calibrate(workshop: &Workshop, options: &str) -> Value {
    let command = format!("compress MODEL --out out --force --samples 2 --seqlen 12 {options}");
    workshop.json(&command)["calibration"].clone()
}

#[test]
fn every_kind_of_text_is_read() {
    let workshop = Workshop::new(TRAINED);
    let record = |fields: Value| fields.to_string() + "\n";
    let paragraphs = [story(3), story(4), story(5)];
    workshop.write("plain.txt", paragraphs.join("\n\n"));
    workshop
        .write("rows.jsonl", paragraphs.each_ref().map(|p| record(json!({ "text": p }))).concat());
    workshop.write(
        "list.json",
        json!([{ "text": paragraphs[0] }, { "text": paragraphs[1] }]).to_string(),
    );
    workshop.write(
        "named.jsonl",
        paragraphs.each_ref().map(|p| record(json!({ "body": p, "id": 1 }))).concat(),
    );
    let alpaca =
        |p: &String| record(json!({ "instruction": "Tell a story.", "input": "", "output": p }));
    workshop.write("alpaca.jsonl", paragraphs.each_ref().map(alpaca).concat());
    let rows = |options: &str| calibrate(&workshop, &format!("--calibration {options}"));
    let mut digests = Vec::new();
    for (options, source) in [
        ("plain.txt", "plain.txt"),
        ("rows.jsonl", "rows.jsonl"),
        ("list.json", "list.json"),
        ("named.jsonl --text-column body", "named.jsonl"),
        ("alpaca.jsonl", "alpaca.jsonl"),
    ] {
        let calibration = rows(options);
        assert_eq!(calibration["source"], source);
        assert_eq!((&calibration["samples"], &calibration["seqlen"]), (&json!(2), &json!(12)));
        assert_eq!(calibration["tokens"], 24, "{options}");
        digests.push(calibration["digest"].clone());
    }
    // The same rows give the same samples, whatever the format of the file.
    assert_eq!(digests[0], digests[1]);
    assert_eq!(digests[1], digests[3]);
    assert_ne!(digests[0], digests[4], "a prompt comes before the story");
    assert_eq!(calibrate(&workshop, "")["source"], "bundled");
}

#[test]
fn the_seed_chooses_the_text() {
    let workshop = Workshop::new(TRAINED);
    for calibration in ["", "--calibration self"] {
        let run = |seed: &str| {
            let calibration = calibrate(&workshop, &format!("{calibration} --seed {seed}"));
            let weights = std::fs::read(workshop.path("out/model.safetensors")).unwrap();
            (calibration, weights)
        };
        let first = run("1");
        assert!(first == run("1"), "{calibration}");
        let other = run("2");
        assert_ne!(first.0["digest"], other.0["digest"], "{calibration}");
        assert!(first.1 != other.1, "{calibration}");
    }
}

/// The batch size changes only the speed.
#[test]
fn a_model_can_sample_its_own_text() {
    let workshop = Workshop::new(TRAINED);
    let calibration = calibrate(&workshop, "--calibration self");
    assert_eq!(calibration["source"], "self");
    assert_eq!((&calibration["samples"], &calibration["seqlen"]), (&json!(2), &json!(12)));
    let batched = calibrate(&workshop, "--calibration self --batch-size 1");
    assert_eq!(calibration, batched);
    // This needs no tokenizer.
    let workshop = Workshop::new("families/phi");
    assert_eq!(calibrate(&workshop, "--calibration self")["tokens"], 24);
}

#[test]
fn too_few_samples_give_a_warning() {
    let workshop = Workshop::new("families/llama2");
    let tokens = "--calibration MODEL/expected.safetensors --out out --force";
    let mut wrong = Vec::new();
    for (command, words) in [
        (
            format!("compress MODEL --samples 3 {tokens}"),
            &["2 calibration samples instead of 3"][..],
        ),
        (format!("compress MODEL --samples 2 --seqlen 65 {tokens}"), &["--seqlen", "64"]),
        (format!("compress MODEL --samples 2 --seqlen 2048 {tokens}"), &["--seqlen 2048", "64"]),
        (
            "eval ppl MODEL --tokens MODEL/expected.safetensors --seqlen 65".into(),
            &["--seqlen", "64"],
        ),
        (
            "eval ppl MODEL --tokens MODEL/expected.safetensors --seqlen 2048".into(),
            &["--seqlen 2048", "64"],
        ),
        ("verify MODEL --seqlen 100".into(), &["--seqlen", "64"]),
        // Asking for exactly as much as there is gives no warning.
        (format!("compress MODEL --samples 2 --seqlen 64 {tokens}"), &[]),
        ("eval ppl MODEL --tokens MODEL/expected.safetensors --seqlen 64".into(), &[]),
    ] {
        let said = workshop.succeed(&command).stderr;
        let lines = said.lines().count();
        let good = lines == usize::from(!words.is_empty())
            && said.lines().all(|line| line.starts_with("warning: "))
            && words.iter().all(|word| said.contains(word));
        if !good {
            wrong.push(format!("{command}: {words:?} expected, and said was: {said}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn sequences_are_as_long_as_the_context_at_most() {
    let workshop = Workshop::new(TRAINED);
    workshop.write("story.txt", story(400));
    let scored = workshop.json("eval ppl MODEL --text story.txt --seqlen 100000 --max-samples 1");
    assert_eq!(scored["seqlen"], 512);
    let result = workshop.json("compress MODEL --calibration story.txt --out out --samples 1");
    assert_eq!(result["calibration"]["seqlen"], 512);
}

#[test]
fn a_token_file_may_have_many_tensors() {
    let workshop = Workshop::new("families/llama2");
    let kept = |tensor: &str| {
        let tokens = format!("--calibration MODEL/expected.safetensors{tensor} --samples 2");
        let result = workshop.json(&format!("compress MODEL --out out --force {tokens}"));
        result["calibration"]["tokens"].clone()
    };
    assert_eq!(kept(""), 48);
    assert_eq!(kept(":input_ids"), 48);
    assert_eq!(kept(":padded_input_ids"), 43);
}
