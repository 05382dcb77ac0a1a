//! stdout and stderr: one JSON object with `--json`, help texts, and no messages on success.

use serde_json::Value;
use slicegpt_testkit::{TRAINED, Workshop};

const COMPRESS: &str =
    "compress MODEL --out out --samples 2 --calibration MODEL/expected.safetensors --sparsity 0.25";
const EVALUATE: &str = "eval ppl MODEL --tokens MODEL/expected.safetensors";

/// A key, and a test of its value.
type Key<'a> = (&'a str, fn(&Value) -> bool);

/// Checks that `command --json` prints these keys with valid values.
fn check(command: &str, keys: &[Key<'_>]) {
    let json = Workshop::new("families/llama2").json(command);
    for (key, kind) in keys {
        assert!(kind(&json[key]), "{command}: `{key}` is {}", json[key]);
    }
}

fn positive(value: &Value) -> bool {
    value.as_f64().is_some_and(|x| x > 0.0)
}

fn whole(value: &Value) -> bool {
    value.as_u64().is_some_and(|x| x > 0)
}

fn number(value: &Value) -> bool {
    value.is_number()
}

fn widths(value: &Value) -> bool {
    value.as_array().is_some_and(|list| list.len() == 5 && list.iter().all(whole))
}

#[test]
fn json_has_the_documented_keys() {
    check(
        COMPRESS,
        &[
            ("nominal_sparsity", positive),
            ("real_reduction", number),
            ("params_before", whole),
            ("params_after", whole),
            ("bytes_before", whole),
            ("bytes_after", whole),
            ("widths", widths),
            ("seconds", positive),
        ],
    );
    if cfg!(unix) {
        check(COMPRESS, &[("peak_rss_bytes", whole)]);
    }
    check(
        EVALUATE,
        &[("perplexity", positive), ("tokens", whole), ("samples", whole), ("seqlen", whole)],
    );
    check("verify MODEL", &[("max_abs_logit_diff", number), ("max_rel_logit_diff", number)]);
    check(
        "inspect MODEL",
        &[("params", whole), ("bytes", whole), ("model_type", Value::is_string)],
    );
    check(
        "plan MODEL",
        &[
            ("widths", widths),
            ("params_before", whole),
            ("params_after", whole),
            ("estimated_peak_bytes", whole),
        ],
    );
}

/// Also for a sliced model, with numbers that JSON can hold.
#[test]
fn json_works_for_a_sliced_model_too() {
    let workshop = Workshop::new("families/llama2");
    workshop.succeed(COMPRESS);
    let inspected = workshop.json("inspect out");
    assert_eq!(inspected["slicegpt"]["format"], 1);
    let scored = workshop.json("eval ppl out --tokens MODEL/expected.safetensors");
    assert!(positive(&scored["perplexity"]));
}

#[test]
fn success_prints_no_messages() {
    let table = |command: &str, case: &str| {
        for json in ["", "--json"] {
            let output = Workshop::new(case).succeed(&format!("{command} {json}"));
            assert_eq!(output.stderr, "", "{command}");
            assert!(!output.stdout.is_empty(), "{command}");
        }
    };
    for command in [COMPRESS, EVALUATE, "verify MODEL", "inspect MODEL", "plan MODEL"] {
        table(command, "families/llama2");
    }
    let workshop = Workshop::new("families/llama2");
    let output = workshop.succeed("logits MODEL --tokens MODEL/expected.safetensors --out l");
    assert_eq!((output.stderr.as_str(), output.stdout.as_str()), ("", ""));
    table("eval ppl MODEL --text FIXTURES/text/valid.txt --seqlen 256 --max-samples 2", TRAINED);
    table("compress MODEL --out out --seqlen 64 --samples 8", TRAINED);
}

/// The shortest command warns of nothing: defaults that cannot be met are no reason for a warning.
#[test]
fn defaults_print_no_messages() {
    let output = Workshop::new(TRAINED).succeed("compress MODEL --out out");
    assert_eq!(output.stderr, "");
}

#[test]
fn the_tolerance_decides_the_exit_code_of_verify() {
    let workshop = Workshop::new("families/llama2");
    for (options, code) in
        [("", 0), ("--tolerance 0.01", 0), ("--tolerance 0", 1), ("--tolerance 1e-12", 1)]
    {
        let output = workshop.run(&format!("verify MODEL --json {options}"));
        assert_eq!(output.code, Some(code), "{options}");
        assert_eq!(output.stderr, "", "{options}");
        let json = output.json();
        assert_eq!(json["passed"], code == 0, "{options}");
        assert!(json["max_abs_logit_diff"].as_f64().unwrap() > 0.0, "{options}");
    }
}

#[test]
fn every_command_has_a_help() {
    let workshop = Workshop::new("families/llama2");
    for command in [
        "",
        "inspect",
        "plan",
        "calibrate",
        "compress",
        "eval",
        "eval ppl",
        "eval kl",
        "logits",
        "verify",
        "devices",
    ] {
        for help in ["--help", "-h"] {
            let output = workshop.succeed(&format!("{command} {help}"));
            let text = output.stdout;
            assert!(text.contains("Usage: slicegpt"), "{command}: {text}");
        }
        // Every subcommand is in the help of its parent.
        let parent = if command.starts_with("eval ") { "eval --help" } else { "--help" };
        let text = workshop.succeed(parent).stdout;
        let word = command.split(' ').next_back().unwrap();
        assert!(text.contains(word), "{word}: {text}");
    }
    let output = workshop.succeed("--version");
    let version = format!("slicegpt {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(output.stdout, version);
}
