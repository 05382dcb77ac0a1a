//! Several calibration texts with shares, conversations that the model writes, and how much text is
//! enough.

use std::fs;

use serde_json::{Value, json};
use slicegpt_testkit::{TRAINED, Workshop, read_json};

/// A text of `sentences` sentences about someone.
fn story(name: &str, sentences: usize) -> String {
    let story = (0..sentences)
        .map(|i| format!("Once upon a time {name} had {} toys and a big red ball. ", i + 2));
    story.collect()
}

fn workshop() -> Workshop {
    let workshop = Workshop::new(TRAINED);
    workshop.write("tom.txt", story("Tom", 200));
    workshop.write("a=b.txt", story("Lily", 200));
    workshop
}

/// Compresses the model with these options.
fn compress(workshop: &Workshop, options: &str) -> Value {
    workshop.json(&format!("compress MODEL --out out --force --seqlen 48 {options}"))
}

#[test]
fn samples_are_taken_by_share() {
    let workshop = workshop();
    let texts = "--calibration tom.txt=0.75 --calibration a=b.txt";
    let both = compress(&workshop, &format!("--samples 8 {texts}"))["calibration"].clone();
    assert_eq!(both["source"], "tom.txt 75.0 %, a=b.txt 25.0 %");
    assert_eq!((&both["samples"], &both["tokens"]), (&json!(8), &json!(8 * 48)));
    for (text, (name, share, samples)) in
        [("tom.txt", 0.75, 6), ("a=b.txt", 0.25, 2)].into_iter().enumerate()
    {
        let text = &both["texts"][text];
        assert_eq!((&text["source"], &text["samples"]), (&json!(name), &json!(samples)));
        assert_eq!(text["share"], share);
        // Each text gives the samples that it would give alone.
        let alone = format!("--samples {samples} --calibration {name}");
        let alone = compress(&workshop, &alone)["calibration"].clone();
        assert_eq!((&alone["source"], &alone["digest"]), (&json!(name), &text["digest"]));
        assert_eq!(alone["texts"], Value::Null);
    }
    // Shares are proportions: the same samples in the same order.
    for texts in [
        "--calibration tom.txt=3 --calibration a=b.txt=1",
        "--calibration tom.txt --calibration a=b.txt=0.25",
    ] {
        assert_eq!(compress(&workshop, &format!("--samples 8 {texts}"))["calibration"], both);
    }
    assert_eq!(read_json(&workshop.path("out/slicegpt.json"))["calibration"], both);
    let card = fs::read_to_string(workshop.path("out/README.md")).unwrap();
    assert!(card.contains("tom.txt 75.0 %, a=b.txt 25.0 %: 8 sequences"), "{card}");
}

#[test]
fn statistics_know_their_texts() {
    let workshop = workshop();
    let texts = "--samples 12 --seqlen 48 --calibration tom.txt --calibration self=0.25";
    let found = workshop.json(&format!("calibrate MODEL --out stats {texts}"));
    let counts = [0, 1].map(|text| found["calibration"]["texts"][text]["samples"].clone());
    assert_eq!(counts, [json!(9), json!(3)]);
    workshop.succeed(&format!("compress MODEL --out out --stats stats {texts}"));
    let other = texts.replace("0.25", "0.5");
    let run = workshop.run(&format!("compress MODEL --out other --stats stats {other}"));
    assert_eq!(run.refusal_fault(&["--calibration", "self 25.0 %", "self 50.0 %"]), None);
}

#[test]
fn a_text_beside_tokens_is_cut_to_their_length() {
    let workshop = workshop();
    let tokens = "FIXTURES/families/llama2/expected.safetensors";
    let texts = format!("--calibration {tokens}:input_ids --calibration tom.txt --samples 4");
    let both = workshop.json(&format!("compress MODEL --out out {texts}"))["calibration"].clone();
    assert_eq!((&both["seqlen"], &both["tokens"]), (&json!(24), &json!(96)));
    assert_eq!(both["texts"][0]["source"], "expected.safetensors:input_ids");
    // Masks too.
    let padded = texts.replace("input_ids", "padded_input_ids");
    let both = workshop.json(&format!("compress MODEL --out out --force {padded}"));
    assert_eq!(both["calibration"]["tokens"], 43 + 48);
}

/// A chat template whose turns begin and end with special tokens of the model.
const TEMPLATE: &str = "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}\
    {{ eos_token }}{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}";

#[test]
fn a_model_can_write_conversations() {
    let workshop = workshop();
    fs::create_dir(workshop.path("chat")).unwrap();
    for entry in fs::read_dir(workshop.model("")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), workshop.path("chat").join(entry.file_name())).unwrap();
    }
    workshop.write("chat/chat_template.jinja", TEMPLATE);
    let run = |options: &str| {
        let command = "calibrate chat --out stats --samples 3 --seqlen 64 --calibration";
        fs::remove_file(workshop.path("stats")).ok();
        workshop.json(&format!("{command} {options}"))["calibration"].clone()
    };
    let conversations = run("self:chat");
    assert_eq!(conversations["source"], "self:chat");
    assert_eq!((&conversations["samples"], &conversations["tokens"]), (&json!(3), &json!(192)));
    assert_eq!(conversations, run("self:chat --batch-size 1"));
    assert_ne!(conversations["digest"], run("self:chat --seed 1")["digest"]);
    assert_ne!(conversations["digest"], run("self")["digest"]);
    let both = run("self:chat --calibration self=0.4");
    assert_eq!(both["texts"][0]["source"], "self:chat");
}

#[test]
fn the_width_of_the_model_asks_for_a_number_of_sequences() {
    let workshop = Workshop::new(TRAINED);
    workshop.write("long.txt", story("Ben", 3000));
    let count = |options: &str| {
        let options = format!("--samples auto --seqlen 256 --calibration {options}");
        let run = workshop.succeed(&format!("compress MODEL --out out --force --json {options}"));
        assert_eq!(run.stderr, "", "{options}");
        run.json()["calibration"]["samples"].as_u64().unwrap()
    };
    // MLPs of width 341, a stream of width 128: 64 tokens for each are fewer than 32768 in all.
    assert_eq!(count("long.txt"), 32768 / 256);
    assert_eq!(count("long.txt --method per-layer --sparsity 0.25"), 32768 / 256);
    workshop.write("short.txt", story("Ben", 60));
    assert!((2..16).contains(&count("short.txt")), "as much as there is, without a warning");
}

#[test]
fn fewer_tokens_than_directions_give_a_warning() {
    let workshop = workshop();
    let said = |options: &str| {
        let text = "--calibration tom.txt --seqlen 48";
        workshop.succeed(&format!("compress MODEL --out out --force {text} {options}")).stderr
    };
    let few = said("--samples 3");
    assert_eq!(few.lines().count(), 1, "{few}");
    assert!(few.starts_with("warning: 144 calibration tokens are fewer than the 341 "), "{few}");
    assert_eq!(said("--samples 8"), "");
    // Without a refit only the directions of the stream are decided.
    assert_eq!(said("--samples 3 --refit none"), "");
}

#[test]
fn the_error_on_held_out_tokens_is_reported() {
    let workshop = workshop();
    let ratio = |options: &str| {
        let options = format!("--calibration tom.txt --keep-params 0.8 {options}");
        compress(&workshop, &options)["held_out_ratio"].clone()
    };
    let found = ratio("--samples 16").as_f64().unwrap();
    assert!((0.5..20.0).contains(&found), "{found}");
    assert_eq!(ratio("--samples 16 --refit ridge"), Value::Null);
    assert_eq!(ratio("--samples 1"), Value::Null);
}
