//! Target sizes are met.

use slicegpt_testkit::{TRAINED, Workshop};

const SAMPLES: &str = "--samples 8 --seqlen 64";

#[test]
fn the_kept_fraction_is_the_requested_one() {
    for model in [TRAINED, "models/ts-opt", "models/ts-phi", "models/ts-phi3"] {
        let workshop = Workshop::new(model);
        for (method, keep) in [("shared", 0.8), ("shared", 0.7), ("per-layer --round-to 1", 0.9)] {
            let command = format!("compress MODEL --out out --force {SAMPLES} --method {method}");
            let result = workshop.json(&format!("{command} --keep-params {keep}"));
            let reduction = result["real_reduction"].as_f64().unwrap();
            assert!(
                (reduction - (1.0 - keep)).abs() <= 0.005,
                "{model} {method} {keep}: {reduction}"
            );
            assert_eq!(workshop.json("inspect out")["params"], result["params_after"]);
            let tried = result["tried"].as_array().unwrap();
            assert_eq!(tried.len() > 1, method == "shared", "{model}: {tried:?}");
        }
    }
}

#[test]
fn counts_and_bytes_are_upper_bounds() {
    let workshop = Workshop::new(TRAINED);
    let before = workshop.json("inspect MODEL")["params"].as_u64().unwrap();
    let command = format!("compress MODEL --out out --force {SAMPLES}");
    let most = before * 8 / 10;
    let result = workshop.json(&format!("{command} --target-params {most}"));
    let after = result["params_after"].as_u64().unwrap();
    assert!(after <= most && after > most - before / 200, "{after} of {most}");
    let result = workshop.json(&format!("{command} --dtype bf16 --target-bytes {}", 2 * most));
    assert_eq!(result["params_after"], after);
    assert_eq!(result["bytes_after"], 2 * after);
}

/// The smallest possible model may be slightly larger than `--keep-params` asks for, but never
/// larger than a `--target` bound.
#[test]
fn just_below_the_smallest_is_the_smallest_or_an_error() {
    for model in [TRAINED, "models/ts-opt"] {
        let workshop = Workshop::new(model);
        let least = workshop.run("plan MODEL --target-params 1");
        assert_eq!(least.code, Some(2), "{}", least.stderr);
        let before = workshop.json("inspect MODEL")["params"].as_u64().unwrap();
        let keep = (1..1000).map(|i| f64::from(i) / 1000.0);
        let mut fitting = keep.filter(|keep| {
            workshop.run(&format!("plan MODEL --keep-params {keep}")).code == Some(0)
        });
        let keep = fitting.next().unwrap();
        let plan = workshop.json(&format!("plan MODEL --keep-params {keep}"));
        let smallest = plan["params_after"].as_u64().unwrap();
        assert!(smallest as f64 > keep * before as f64, "{model}: {smallest} of {keep}");
        let command = format!("compress MODEL --out out {SAMPLES} --keep-params {keep}");
        assert_eq!(workshop.json(&command)["params_after"], smallest, "{model}");
        for method in ["shared", "per-layer --round-to 1"] {
            let options = format!("--target-params {} --method {method}", smallest - 1);
            let plan = workshop.run(&format!("plan MODEL {options} --json"));
            if plan.code == Some(0) {
                let plan = plan.json();
                assert!(plan["params_after"].as_u64().unwrap() < smallest, "{model} {method}");
            }
        }
    }
}

/// A plan needs no weights. It is exact if the split is given, and lists all splits if not.
#[test]
fn plans_are_what_is_written() {
    for family in ["llama2", "llama31", "opt", "phi", "phi3", "qwen3"] {
        let workshop = Workshop::new(&format!("families/{family}"));
        for options in [
            "--hidden-size 24 --intermediate-size 40",
            "--sparsity 0.25",
            "--sparsity 0.5 --head untied",
        ] {
            let plan = workshop.json(&format!("plan MODEL {options}"));
            let tokens = "--calibration MODEL/expected.safetensors:input_ids";
            let result =
                workshop.json(&format!("compress MODEL --out out --force {tokens} {options}"));
            for key in ["params_after", "bytes_after", "widths", "real_reduction"] {
                assert_eq!(plan[key], result[key], "{family} {options}: {key}");
            }
            // With free MLP widths, the plan knows only their mean.
            let width = &plan["intermediate_size"];
            match result["intermediate_sizes"].as_array() {
                None => assert_eq!(width, &result["intermediate_size"], "{family} {options}"),
                Some(widths) => {
                    let sum: u64 = widths.iter().map(|width| width.as_u64().unwrap()).sum();
                    assert_eq!(sum, width.as_u64().unwrap() * widths.len() as u64, "{family}");
                }
            }
        }
    }
    let workshop = Workshop::new(TRAINED);
    let plan = workshop.json("plan MODEL --keep-params 0.75");
    let splits = plan["splits"].as_array().unwrap();
    assert!(splits.len() > 2, "{splits:?}");
    let result = workshop.json(&format!("compress MODEL --out out {SAMPLES}"));
    let chosen = (&result["widths"][0], &result["intermediate_size"]);
    let planned =
        |split: &serde_json::Value| (&split["hidden_size"], &split["intermediate_size"]) == chosen;
    assert!(splits.iter().any(planned), "{chosen:?} in {splits:?}");
}

/// `plan --search` measures what `compress` measures, and takes the same shape.
#[test]
fn a_planned_search_is_that_of_compress() {
    let workshop = Workshop::new(TRAINED);
    let options = format!("{SAMPLES} --keep-params 0.75");
    let planned = workshop.json(&format!("plan MODEL {options} --search"));
    let made = workshop.json(&format!("compress MODEL --out out {options}"));
    let tried = made["tried"].as_array().unwrap();
    assert!(tried.len() > 1);
    assert_eq!(planned["search"]["tried"], made["tried"]);
    for key in ["layers", "hidden_size", "kv_heads", "intermediate_size"] {
        assert!(planned[key].is_number(), "{key}");
    }
    assert_eq!(planned["params_after"], made["params_after"]);
    let table = workshop.succeed(&format!("plan MODEL {options} --search")).stdout;
    assert_eq!(table.matches(" *").count(), 1, "{table}");
    // One shape is a forecast; without a search no text is read.
    let one = workshop.json(&format!("plan MODEL {SAMPLES} --kv-heads 1 --search"));
    assert_eq!(one["search"]["tried"].as_array().unwrap().len(), 0);
    for (options, says) in [
        ("--keep-params 0.75 --calibration MODEL/config.json", "--search"),
        ("--sparsity 0.25 --method per-layer --search", "one shape"),
        ("--keep-params 0.75 --search --calibration missing.txt", "missing.txt"),
    ] {
        let refused = workshop.run(&format!("plan MODEL {options}"));
        assert_eq!(refused.code, Some(2), "{options}: {}", refused.stderr);
        assert!(refused.stderr.contains(says), "{options}: {}", refused.stderr);
    }
}

/// transformers refuses a Llama whose width is not a multiple of its number of heads.
#[test]
fn stock_widths_are_multiples_of_the_heads() {
    let workshop = Workshop::new(TRAINED);
    for options in
        ["--round-to 7", "--keep-params 0.75 --round-to 6", "--keep-params 0.75 --align 6"]
    {
        let plan = workshop.json(&format!("plan MODEL {options}"));
        for split in plan["splits"].as_array().unwrap() {
            let width = split["hidden_size"].as_u64().unwrap();
            // Two query heads read one key/value head.
            let heads = 2 * split["kv_heads"].as_u64().unwrap_or(2);
            assert!(width.is_multiple_of(heads), "{options}: {split}");
        }
    }
    let says = ["--hidden-size 98", "4 query heads", "give 96"];
    workshop.cli("plan MODEL --hidden-size 98").refuse(&says);
}

/// What fits is the largest size below the bound, however far below.
#[test]
fn at_most_is_at_most() {
    let workshop = Workshop::new(TRAINED);
    let plan = workshop.json("plan MODEL --target-params 934000 --align 64");
    let parameters = plan["params_after"].as_u64().unwrap();
    assert!((900_000..=934_000).contains(&parameters), "{plan}");
}

#[test]
fn widths_are_aligned() {
    let workshop = Workshop::new(TRAINED);
    // The MLPs have 341 channels, which is not a multiple, so they cannot stay uncut.
    let plan = workshop.json("plan MODEL --keep-params 0.75 --align 16");
    let splits = plan["splits"].as_array().unwrap();
    assert!(splits.len() > 1, "{plan}");
    for split in splits {
        for width in ["hidden_size", "intermediate_size"] {
            assert_eq!(split[width].as_u64().unwrap() % 16, 0, "{split}");
        }
    }
}

#[test]
fn impossible_sizes_say_what_is_possible() {
    let workshop = Workshop::new("models/ts-opt");
    for (options, words) in [
        ("--keep-params 0", &["--keep-params", "(0, 1]"][..]),
        ("--keep-params 1.5", &["--keep-params", "(0, 1]"]),
        ("--keep-params nan", &["--keep-params", "(0, 1]"]),
        ("--keep-params 0.0001", &["nearest possible", "reduction of"]),
        ("--keep-params 0.95 --head untied --align 128", &["nearest possible", "untied head"]),
        ("--target-params 5B", &["5000000000", "nothing is to be cut"]),
        ("--target-params 5X", &["--target-params", "5X"]),
        ("--target-bytes 1TB", &["nothing is to be cut"]),
        ("--keep-params 0.5 --sparsity 0.2", &["--keep-params", "--sparsity"]),
        ("--keep-params 0.5 --target-bytes 1MB", &["--keep-params", "--target-bytes"]),
        ("--hidden-size 96 --sparsity 0.5", &["--hidden-size", "--sparsity"]),
        ("--axes mlp --sparsity 0.5", &["--axes", "--sparsity"]),
        ("--axes mlp --hidden-size 96", &["--axes", "--keep-params"]),
        ("--axes stream,mlp --kv-heads 2 --hidden-size 64 --keep-params 0.5", &["`stream`"]),
        ("--axes depth", &["--axes", "depth"]),
        ("--keep-layers 1", &["--keep-layers 1", "at least two layers"]),
        ("--keep-layers 9", &["--keep-layers 9", "has only 4;"]),
        ("--kv-heads 9 --hidden-size 96", &["--kv-heads 9", "has only 4;"]),
        ("--keep-layers 3 --axes layers --keep-params 0.8", &["--keep-layers", "`layers`"]),
        ("--keep-layers 2 --keep-params 0.95", &["nearest possible", "more axes free"]),
        ("--axes layers --keep-params 0.97", &["nearest possible", "more axes free"]),
        ("--method per-layer --kv-heads 2", &["--kv-heads", "--method shared"]),
        ("--method per-layer --axes mlp", &["--axes", "--method shared"]),
        ("--hidden-size 1000", &["--hidden-size 1000", "128"]),
        ("--intermediate-size 1000", &["--intermediate-size 1000", "512"]),
        ("--hidden-size 0", &["--hidden-size"]),
        ("--align 0", &["--align"]),
        ("--align 256", &["--align 256", "128 wide"]),
        ("--round-to 0", &["round-to"]),
        ("--sparsity 0.2 --sparsity-end 0.3", &["--sparsity-end", "--method per-layer"]),
        ("--slice-head", &["--slice-head", "--method per-layer"]),
        ("--method per-layer --align 8", &["--align", "--method shared"]),
        ("--method per-layer --hidden-size 96", &["--hidden-size", "--method shared"]),
        ("--method per-layer --head tied", &["--head tied", "--method shared"]),
        ("--method per-layer --mlp-widths free", &["--mlp-widths", "--method shared"]),
        ("--mlp-widths wide", &["--mlp-widths", "wide"]),
        ("--head both", &["--head", "both"]),
    ] {
        for command in ["plan MODEL", "compress MODEL --out out"] {
            let output = workshop.run(&format!("{command} {options}"));
            assert_eq!(output.code, Some(2), "{command} {options}");
            let message = output.stderr;
            for word in words {
                assert!(message.contains(word), "{command} {options}: {word} in {message}");
            }
            assert!(!workshop.path("out").exists(), "{options}");
        }
    }
    for (options, word) in [
        ("--refit lasso", "ridge"),
        ("--refit ridge:0", "above 0"),
        ("--refit ridge:nan", "above 0"),
        ("--refit none:1", "--refit"),
        ("--search-budget soon", "--search-budget"),
        ("--basis best", "--basis"),
    ] {
        let output = workshop.run(&format!("compress MODEL --out out {options}"));
        assert_eq!(output.code, Some(2), "{options}");
        assert!(output.stderr.contains(word), "{options}: {}", output.stderr);
    }
}

/// One sequence is divided, and a search without time takes the first shape that it measures.
#[test]
fn a_search_needs_one_sequence_and_no_time() {
    let workshop = Workshop::new(TRAINED);
    let command = "compress MODEL --out out --force --samples 1 --seqlen 64";
    let result = workshop.json(command);
    assert!(result["tried"].as_array().unwrap().len() > 2, "{result}");
    let result = workshop.json(&format!("{command} --search-budget 0"));
    assert_eq!(result["tried"].as_array().unwrap().len(), 1, "{result}");
    workshop.succeed(&format!("{command} --search-budget none"));
}
