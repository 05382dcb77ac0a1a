//! `generate` and `chat`: the text of Hugging Face transformers, stop strings, sampling, and
//! errors.

use serde_json::Value;
use slicegpt_testkit::{Cli, fixtures};

const PROMPT: &str = "Once upon a time, there was a little";

fn model(name: &str) -> String {
    fixtures().join("models").join(name).to_str().unwrap().to_string()
}

fn stdout(args: &[&str]) -> String {
    Cli::new("").args(args).succeed().stdout
}

fn json(args: &[&str]) -> Value {
    Cli::new("").args(args).json()
}

/// The text of transformers for each model, made by `fixtures/models/greedy.py`.
fn expected() -> Vec<(String, Value)> {
    let text = std::fs::read_to_string(fixtures().join("models/greedy.json")).unwrap();
    let Value::Object(all) = serde_json::from_str(&text).unwrap() else { panic!("no object") };
    assert!(all.len() >= 4);
    all.into_iter().collect()
}

#[test]
fn greedy_text_is_that_of_transformers() {
    for (name, want) in expected() {
        let model = model(&name);
        let found = json(&["generate", &model, "--prompt", PROMPT, "-n", "48"]);
        for key in ["token_ids", "text", "prompt_tokens"] {
            assert_eq!(found[key], want[key], "{name}: {key}");
        }
        assert_eq!(found["finish_reason"], "length", "{name}");
        // As a stream, after the prompt.
        let shown = stdout(&["generate", &model, "--prompt", PROMPT, "-n", "48", "--echo"]);
        let text = want["text"].as_str().unwrap();
        assert_eq!(shown.replacen(PROMPT, "", 1).trim(), text.trim(), "{name}");
    }
}

#[test]
fn half_precision_weights_give_the_same_first_tokens() {
    // The fixtures are stored in float16, so float16 weights lose nothing.
    for (name, want) in expected() {
        for (weights, named) in [("f32", "float32"), ("f16", "float16")] {
            let options = ["--weights", weights, "-n", "12"];
            let model = model(&name);
            let mut args = vec!["generate", &model, "--prompt", PROMPT];
            args.extend(options);
            let found = json(&args);
            let want = &want["token_ids"].as_array().unwrap()[..12];
            assert_eq!(found["token_ids"].as_array().unwrap(), want, "{name} in {weights}");
            assert_eq!(found["weights"], named);
        }
    }
}

#[test]
fn text_ends_before_a_stop_string_and_sampling_depends_on_the_seed() {
    let model = model("ts-llama3-gqa");
    let base = ["generate", &model, "--prompt", PROMPT];
    let with = |more: &[&str]| json(&[&base[..], more].concat());
    let stopped = with(&["-n", "48", "--stop", "toys and"]);
    assert_eq!(stopped["finish_reason"], "stop");
    assert_eq!(stopped["text"], " girl named Lily. She loved to play with her ");
    let drawn =
        |seed: &str| with(&["-n", "24", "--temperature", "1", "--seed", seed])["text"].clone();
    assert_eq!(drawn("1"), drawn("1"));
    assert_ne!(drawn("1"), drawn("2"));
}

#[test]
fn a_prompt_comes_from_a_file_or_from_stdin() {
    let model = model("ts-phi3");
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("prompt.txt");
    std::fs::write(&file, PROMPT).unwrap();
    let given = stdout(&["generate", &model, "-p", PROMPT, "-n", "8"]);
    assert_eq!(stdout(&["generate", &model, "-f", file.to_str().unwrap(), "-n", "8"]), given);
    let piped = Cli::new("generate").arg(&model).words("-p - -n 8").stdin(PROMPT).succeed();
    assert_eq!(piped.stdout, given);
}

#[test]
fn cut_models_generate_and_a_cut_of_nothing_changes_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    for (name, want) in expected() {
        let model = model(&name);
        for (method, cut) in [("per-layer", "0"), ("per-layer", "0.25"), ("shared", "0.25")] {
            let out = scratch.path().join(format!("{name}-{method}-{cut}"));
            let out = out.to_str().unwrap();
            let mut args = vec!["compress", &model, "--out", out, "--method", method];
            args.extend(["--sparsity", cut, "--samples", "4", "--seqlen", "64"]);
            if cut == "0" {
                args.extend(["--refit", "none"]);
            }
            stdout(&args);
            let found = json(&["generate", out, "--prompt", PROMPT, "-n", "48"]);
            assert!(found["generated_tokens"].as_u64().unwrap() > 0);
            if cut == "0" {
                // The rotated weights were rounded to float16, which may flip near ties later on.
                let (found, want) = (&found["token_ids"], &want["token_ids"]);
                let first = |ids: &Value| ids.as_array().unwrap()[..12].to_vec();
                assert_eq!(first(found), first(want), "{name}");
            }
        }
    }
}

/// Checks that the command is refused with an error that contains all of `expected`.
fn refused(args: &[&str], input: &str, expected: &[&str]) {
    Cli::new("").args(args).stdin(input).refuse(expected);
}

#[test]
fn invalid_prompts_and_options_are_refused() {
    let (llama, phi) = (model("ts-llama3-gqa"), model("ts-phi"));
    let long = "once upon a time ".repeat(2000);
    refused(&["generate", &llama, "-p", "-"], &long, &["prompt has", "tokens", "shorten"]);
    refused(&["generate", &phi, "-p", ""], "", &["prompt is empty"]);
    refused(&["generate", &llama, "-f", "nowhere.txt"], "", &["nowhere.txt"]);
    refused(&["generate", "nowhere", "-p", "x"], "", &["nowhere"]);
    refused(&["generate", &llama, "-p", "x", "--chat"], "", &["chat template", "--chat-template"]);
    refused(&["chat", &llama], "hello\n", &["chat template", "--chat-template"]);
    refused(&["generate", &llama], "", &["--prompt"]);
    refused(&["generate", &llama, "-p", "x", "--top-p", "2"], "", &["--top-p", "from 0 to 1"]);
    refused(&["generate", &llama, "-p", "x", "-n", "0"], "", &["--max-tokens"]);
}

#[test]
fn a_conversation_goes_through_the_template() {
    let model = model("ts-llama3-gqa");
    let scratch = tempfile::tempdir().unwrap();
    let template = scratch.path().join("chat.jinja");
    let source = "{% for message in messages %}{{ message['content'] }}{% endfor %}";
    std::fs::write(&template, source).unwrap();
    let template = template.to_str().unwrap();
    let base = ["generate", &model, "-p", PROMPT, "-n", "8", "--chat", "--chat-template", template];
    let templated = stdout(&base);
    assert!(!templated.trim().is_empty());
    let chat = Cli::new("chat -n 8").args([&model, "--chat-template", template]);
    let said = chat.stdin(format!("{PROMPT}\n")).succeed().stdout;
    assert!(said.contains(templated.trim()), "{said:?} has not {templated:?}");
}
