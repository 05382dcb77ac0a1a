//! What to cut: sparsities, multiples and plan files that keep nothing or do not fit the model.

use crate::sandbox::{COMPRESS, Sandbox, check_commands, none};

/// Checks that `compress` and `plan` refuse each of the options with `--method per-layer`.
fn check(sandbox: &Sandbox, rows: &[(&str, &[&str])]) {
    check_method(sandbox, "per-layer", rows);
}

fn check_method(sandbox: &Sandbox, method: &str, rows: &[(&str, &[&str])]) {
    for command in [COMPRESS, "plan dense"] {
        let command = format!("{command} --method {method}");
        let row = |(options, says): &(&str, _)| (format!("{command} {options}"), *says);
        check_commands(sandbox, &rows.iter().map(row).collect::<Vec<_>>());
    }
}

#[test]
fn sparsities_are_fractions() {
    check(
        &Sandbox::new("families/llama2"),
        &[
            ("--sparsity -0.1", &["sparsity", "-0.1"]),
            ("--sparsity=-0.1", &["sparsity", "-0.1", "[0, 1)"]),
            ("--sparsity 1", &["sparsity", "[0, 1)"]),
            ("--sparsity 1.5", &["sparsity", "1.5", "[0, 1)"]),
            ("--sparsity nan", &["sparsity", "NaN", "[0, 1)"]),
            ("--sparsity inf", &["sparsity", "inf", "[0, 1)"]),
            ("--sparsity abc", &["--sparsity", "abc"]),
            ("--sparsity 25%", &["--sparsity", "25%"]),
            ("--sparsity 0.1 --sparsity-end 1", &["sparsity", "[0, 1)"]),
            ("--sparsity 0.1 --sparsity-end nan", &["sparsity", "[0, 1)"]),
        ],
    );
}

#[test]
fn something_must_be_kept() {
    check(
        &Sandbox::new("families/llama2"),
        &[
            ("--sparsity 0.99", &["sparsity", "keeps nothing", "--round-to"]),
            ("--sparsity 0.1 --sparsity-end 0.99", &["sparsity", "keeps nothing", "--round-to"]),
            ("--round-to 64", &["keeps nothing", "--round-to"]),
            ("--round-to 0", &["round-to", "at least 1"]),
            ("--round-to 1.5", &["--round-to", "1.5"]),
            ("--round-to abc", &["--round-to", "abc"]),
        ],
    );
}

#[test]
fn a_plan_file_fits_the_model() {
    let sandbox = Sandbox::new("families/llama2");
    for (name, plan) in [
        ("empty.json", ""),
        ("text.json", "24 24 24 24 32"),
        ("object.json", "{\"width\": [24, 24, 24, 24, 32]}"),
        ("string.json", "{\"widths\": \"24\"}"),
        ("strings.json", "[\"24\", \"24\", \"24\", \"24\", \"32\"]"),
        ("negative.json", "[24, -24, 24, 24, 32]"),
        ("fraction.json", "[24, 24.5, 24, 24, 32]"),
        ("few.json", "[24, 24, 24, 32]"),
        ("many.json", "{\"widths\": [24, 24, 24, 24, 24, 32]}"),
        ("none.json", "[]"),
        ("zero.json", "[24, 24, 0, 24, 32]"),
        ("wide.json", "[24, 24, 24, 24, 33]"),
        ("good.json", "[24, 24, 24, 24, 32]"),
    ] {
        sandbox.write(name, plan);
    }
    sandbox.create_dir("folder.json");
    let whole = "whole numbers";
    check(
        &sandbox,
        &[
            ("--plan nowhere.json", &["nowhere.json"]),
            ("--plan folder.json", &["folder.json"]),
            ("--plan empty.json", &["empty.json"]),
            ("--plan text.json", &["text.json"]),
            ("--plan object.json", &["object.json", "`widths`"]),
            ("--plan string.json", &["string.json", whole]),
            ("--plan strings.json", &["strings.json", whole]),
            ("--plan negative.json", &["negative.json", whole]),
            ("--plan fraction.json", &["fraction.json", whole]),
            ("--plan few.json", &["few.json", "4 widths", "5 cuts"]),
            ("--plan many.json", &["many.json", "6 widths", "5 cuts"]),
            ("--plan none.json", &["none.json", "0 widths", "5 cuts"]),
            ("--plan zero.json", &["zero.json", "width 0 at cut 2"]),
            ("--plan wide.json", &["wide.json", "width 33 at cut 4"]),
        ],
    );
    // A plan file sets all widths; other options for them would be ignored.
    check(
        &sandbox,
        &[
            ("--plan good.json --sparsity 0.2", &["--plan", "--sparsity"]),
            ("--plan good.json --sparsity-end 0.2", &["--plan", "--sparsity-end"]),
            ("--plan good.json --slice-head", &["--plan", "--slice-head"]),
            ("--plan good.json --round-to 4", &["--plan", "--round-to"]),
        ],
    );
}

#[test]
fn counts_are_above_zero() {
    let sandbox = Sandbox::new("families/llama2");
    let mut complaints = Vec::new();
    for (command, options) in [
        (COMPRESS, &["--batch-size", "--samples", "--seqlen", "--eval-max-samples"][..]),
        ("plan dense", &["--batch-size", "--samples", "--seqlen"]),
        (
            "eval ppl dense --tokens tokens.safetensors",
            &["--batch-size", "--seqlen", "--max-samples"],
        ),
        ("logits dense --tokens tokens.safetensors --out l", &["--batch-size", "--seqlen"]),
        ("verify dense", &["--batch-size", "--seqlen", "--max-samples"]),
    ] {
        for option in options {
            for value in ["0", "abc", "1.5"] {
                let command = sandbox.slicegpt(".", &format!("{command} {option} {value}"));
                complaints.extend(sandbox.complaint(command, &[option, value]));
            }
        }
    }
    none(&complaints);
}

/// More tokens than fit into any memory are refused before anything is allocated.
#[test]
fn counts_are_within_limits() {
    let sandbox = Sandbox::new("families/llama2");
    let rows = [
        ("compress dense --out out --calibration self --samples 1000000000000000000", "--samples"),
        ("verify dense --max-samples 1000000000000000", "--max-samples"),
        // Times 64 tokens this is 2^66, which overflows 64 bits to zero.
        ("verify dense --max-samples 1152921504606846976", "--max-samples"),
    ];
    let complaint = |(command, option): &(&str, &str)| {
        sandbox.complaint(sandbox.slicegpt(".", command), &[option])
    };
    none(&rows.iter().filter_map(complaint).collect::<Vec<_>>());
}

#[test]
fn invalid_sizes_types_and_names_are_named() {
    let sandbox = Sandbox::new("families/llama2");
    let compress = |options: &str| format!("{COMPRESS} {options}");
    let rows = [
        (compress("--max-shard-size 0"), &["--max-shard-size"][..]),
        (compress("--max-shard-size abc"), &["--max-shard-size", "abc"]),
        (compress("--max-shard-size 5XB"), &["--max-shard-size", "XB"]),
        (compress("--dtype f64"), &["--dtype", "f64"]),
        (compress("--method best"), &["--method", "best"]),
        (compress("--orientation up"), &["--orientation", "up"]),
        (compress("--seed x"), &["--seed"]),
        ("compress dense --calibration tokens.safetensors".into(), &["--out", "required"]),
        ("compress dense --out= --calibration tokens.safetensors".into(), &["--out"]),
        ("compress --out out".into(), &["<MODEL>"]),
        ("eval ppl dense".into(), &["--text", "--tokens"]),
        ("eval ppl dense --text a --tokens b".into(), &["--text", "--tokens"]),
        ("verify dense --tolerance abc".into(), &["--tolerance", "abc"]),
        ("verify dense --tolerance nan".into(), &["--tolerance"]),
        ("squash dense".into(), &["squash"]),
    ];

    check_commands(&sandbox, &rows);
}
