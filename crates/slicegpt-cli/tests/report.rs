//! `slicegpt report`: the numbers on the page, and the errors.

use serde_json::Value;
use slicegpt_testkit::{TRAINED, Workshop};

const TEXT: &str = "--eval-text FIXTURES/text/valid.txt --eval-max-samples 2";
const SOME: &str = "--samples 4 --seqlen 64";

/// The report in `report.html`.
fn read_page(workshop: &Workshop) -> String {
    std::fs::read_to_string(workshop.path("report.html")).unwrap()
}

/// Checks that the command is refused with an error that contains all of `says`, and writes no
/// page.
fn refuses(workshop: &Workshop, command: &str, says: &[&str]) {
    workshop.cli(command).refuse(says);
    assert!(!workshop.path("report.html").exists(), "{command}");
}

/// The cells of the row with the heading `name`.
fn cells(page: &str, name: &str) -> Vec<String> {
    let heading = format!("<th scope=\"row\">{name}");
    let line = page.lines().find(|line| line.contains(&heading));
    let line = line.unwrap_or_else(|| panic!("{name}: {page}"));
    line.split("<td>").skip(1).map(|cell| cell.split('<').next().unwrap().to_string()).collect()
}

#[test]
fn a_record_is_written_beside_the_weights() {
    let workshop = Workshop::new(TRAINED);
    let printed =
        workshop.json(&format!("compress MODEL --keep-params 0.75 --out out {SOME} {TEXT}"));
    let record = workshop.read_json("out/slicegpt-report.json");
    assert_eq!(record["seconds"], printed["seconds"]);
    assert_eq!(record["bytes"], printed["bytes_after"]);
    assert_eq!(record["dense"]["bytes"], printed["bytes_before"]);
    assert_eq!(record["dense"]["name"], "ts-llama3-gqa");
    let evaluation = &record["evaluations"][0];
    assert_eq!(evaluation["perplexity_before"], printed["perplexity_before"]);
    assert_eq!(evaluation["perplexity_after"], printed["perplexity_after"]);
    assert_eq!(evaluation["text"], "valid.txt");
    assert_eq!(record["machine"]["device"], printed["device"]);
    assert_eq!(record["command"][1], "compress");
    assert_eq!(record["command"].as_array().unwrap().last().unwrap(), "--json");
    assert_eq!(record["spectra"].as_array().unwrap().len(), 1);
    assert_eq!(record["spectra"][0]["kept"], printed["widths"][0]);
    // The model card has the same numbers, with the protocol.
    let card = std::fs::read_to_string(workshop.path("out/README.md")).unwrap();
    let after = printed["perplexity_after"].as_f64().unwrap();
    for words in [
        "## Measured",
        "perplexity on valid.txt",
        &format!("{after:.3} after"),
        "KL from the dense model on valid.txt",
        "same first 8 tokens of greedy continuations on valid.txt",
        "Protocol: ",
        "Continuations: ",
        "| machine |",
    ] {
        assert!(card.contains(words), "{words}: {card}");
    }
    // No temporary file is left.
    let entries = std::fs::read_dir(workshop.path("out")).unwrap();
    let hidden = |name: &String| name.starts_with('.');
    let names: Vec<_> = entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    assert!(!names.iter().any(hidden), "{names:?}");
}

#[test]
fn the_record_has_the_eigenvalues_of_every_cut() {
    let workshop = Workshop::new("families/llama2");
    let tokens = "--calibration MODEL/expected.safetensors --samples 2";
    let options = "--method per-layer --sparsity 0.25 --spectra spectra.json";
    workshop.json(&format!("compress MODEL --out out {tokens} {options}"));
    let record = workshop.read_json("out/slicegpt-report.json");
    let full = workshop.read_json("spectra.json");
    let [record, full] = [&record["spectra"], &full].map(|list| list.as_array().unwrap().clone());
    assert_eq!((record.len(), full.len()), (5, 5));
    for (some, all) in record.iter().zip(full) {
        let values: Vec<f64> =
            all["eigenvalues"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect();
        let kept = some["kept"].as_u64().unwrap() as usize;
        let part = |from: usize| values[from..].iter().sum::<f64>() / values.iter().sum::<f64>();
        let lost = some["lost"].as_f64().unwrap();
        assert!((lost - part(kept)).abs() < 1e-9, "{lost} {}", part(kept));
        assert_eq!(some["width"], values.len());
        for point in some["points"].as_array().unwrap() {
            let at = |index: usize| point[index].as_f64().unwrap();
            let count = at(0) as usize;
            assert!((at(1) - values[count - 1].max(0.0) / values[0]).abs() < 1e-6);
            assert!((at(2) - part(count)).abs() < 1e-6);
        }
    }
}

#[test]
fn one_output_has_a_page() {
    let workshop = Workshop::new(TRAINED);
    let printed =
        workshop.json(&format!("compress MODEL --keep-params 0.75 --out out {SOME} {TEXT}"));
    workshop.succeed("report out --out report.html");
    let page = read_page(&workshop);
    let number = |key: &str| format!("{:.3}", printed[key].as_f64().unwrap());
    let expected = [number("perplexity_before"), number("perplexity_after")];
    assert_eq!(cells(&page, "perplexity on valid.txt"), expected);
    assert_eq!(cells(&page, "stream width"), ["128".to_string(), printed["widths"][0].to_string()]);
    assert!(page.contains("<title>ts-llama3-gqa, sliced</title>"), "{page}");
    assert!(
        page.contains("Spectrum of the stream") && page.contains("slicegpt compress"),
        "{page}"
    );
    assert!(!page.contains("Over sizes"), "{page}");
    let evaluation = &printed["evaluations"][0];
    let found = cells(&page, "out, valid.txt");
    assert_eq!(found[..2], expected);
    assert!(found[2].starts_with(&format!("{:.4}", evaluation["kl"].as_f64().unwrap())));
    assert_eq!(found.last().unwrap(), "4 × 32 tokens");
    // `--force` replaces an older page, and nothing else.
    let again = workshop.run("report out --out report.html");
    assert_eq!(again.code, Some(2));
    assert!(again.stderr.contains("--force"), "{}", again.stderr);
    workshop.succeed("report out --out report.html --force");
    assert_eq!(read_page(&workshop), page, "the same input gives the same page");
    workshop.write("report.html", "mine");
    assert_eq!(workshop.run("report out --out report.html --force").code, Some(2));
    assert_eq!(read_page(&workshop), "mine");
}

#[test]
fn several_outputs_have_curves_and_results_belong_to_their_models() {
    let workshop = Workshop::new(TRAINED);
    for keep in ["0.8", "0.6"] {
        workshop.json(&format!("compress MODEL --keep-params {keep} --out k{keep} {SOME} {TEXT}"));
        let text = "--text FIXTURES/text/valid.txt --seqlen 64 --max-samples 2";
        let kl = workshop.json(&format!("eval kl MODEL k{keep} {text}"));
        workshop.write(&format!("kl{keep}.json"), kl.to_string());
    }
    workshop.json(&format!("compress MODEL --method per-layer --out paper {SOME}"));
    let tasks = "--tasks piqa --data FIXTURES/tasks --limit 2";
    for (model, file) in [("MODEL", "dense.json"), ("k0.8", "tasks.json")] {
        workshop.write(file, workshop.json(&format!("eval tasks {model} {tasks}")).to_string());
    }
    let row = |model: &str, speed: f64| {
        serde_json::json!({
            "model": model, "phase": "decode", "device": "cpu", "tokens": 64, "batch": 1,
            "tokens_per_second": speed, "milliseconds_per_token": 1000.0 / speed,
        })
    };
    let speeds = serde_json::json!({ "benchmarks": [row("k0.8", 250.0), row("./k0.6", 500.0)] });
    workshop.write("speeds.json", speeds.to_string());
    workshop.succeed(
        "report k0.8 k0.6 paper --base MODEL --out report.html \
         --results kl0.8.json kl0.6.json dense.json tasks.json speeds.json",
    );
    let page = read_page(&workshop);
    let kl = |keep: &str| {
        let found: Value = workshop.read_json(&format!("kl{keep}.json"));
        format!("{:.4}", found["kl"].as_f64().unwrap())
    };
    let found = cells(&page, "KL from the dense model");
    assert_eq!(found.len(), 4, "{found:?}");
    assert!(found[1].starts_with(&kl("0.8")) && found[2].starts_with(&kl("0.6")), "{found:?}");
    assert_eq!((found[0].as_str(), found[3].as_str()), ("–", "–"));
    let found = cells(&page, "piqa, acc, 2 questions");
    assert!(found[0].ends_with('%') && found[1].ends_with('%') && found[2] == "–", "{found:?}");
    let expected = ["–", "250 (4.00 ms each)", "500 (2.00 ms each)", "–"];
    assert_eq!(cells(&page, "decode, 1 × 64 tokens, cpu"), expected);
    assert!(page.contains("Over sizes") && page.contains("Speed: decode"), "{page}");
    assert!(page.contains("Energy lost at every cut"), "{page}");
}

#[test]
fn an_output_without_a_record_is_reported_with_a_note() {
    let workshop = Workshop::new("families/llama2");
    let tokens = "--calibration MODEL/expected.safetensors --samples 2";
    workshop.json(&format!("compress MODEL --keep-params 0.8 --out old {tokens}"));
    std::fs::remove_file(workshop.path("old/slicegpt-report.json")).unwrap();
    workshop.succeed("report old --out report.html");
    assert!(
        read_page(&workshop).contains("There is no slicegpt-report.json"),
        "{}",
        read_page(&workshop)
    );
    workshop.succeed("import FIXTURES/imports/opt --base FIXTURES/families/opt --out brought");
    workshop.succeed("report brought --out report.html --force");
    let page = read_page(&workshop);
    assert!(page.contains("an imported model has none"), "{page}");
    assert!(page.contains("opt_0.031.pt"), "{page}");
}

#[test]
fn invalid_inputs_are_refused() {
    let workshop = Workshop::new("families/llama2");
    let tokens = "--calibration MODEL/expected.safetensors --samples 2";
    workshop.json(&format!("compress MODEL --keep-params 0.8 --out out {tokens}"));
    let page = "--out report.html";
    refuses(&workshop, &format!("report nowhere {page}"), &["nowhere", "no such directory"]);
    std::fs::create_dir(workshop.path("empty")).unwrap();
    refuses(&workshop, &format!("report out empty {page}"), &["empty", "config.json is missing"]);
    refuses(&workshop, &format!("report MODEL {page}"), &["llama2", "not made by", "--base"]);
    refuses(&workshop, "report out --out out/report.html", &["out"]);
    refuses(&workshop, "report out --out empty", &["empty"]);
    refuses(&workshop, &format!("report out --base out {page}"), &["--base out"]);
    let other = "FIXTURES/families/qwen3";
    refuses(
        &workshop,
        &format!("report out --base {other} {page}"),
        &["out", "--base", "parameters"],
    );
    workshop.write("a.json", "[]");
    refuses(&workshop, &format!("report out --results a.json {page}"), &["a.json", "no results"]);
    workshop.write("a.json", "{");
    refuses(&workshop, &format!("report out --results a.json {page}"), &["a.json", "line 1"]);
    refuses(&workshop, &format!("report out --results b.json {page}"), &["b.json"]);
    let score = workshop.json("eval ppl MODEL --tokens MODEL/expected.safetensors");
    workshop.write("a.json", score.to_string());
    refuses(
        &workshop,
        &format!("report out --results a.json {page}"),
        &["a.json", "llama2", "--base"],
    );
    workshop.write("out/slicegpt-report.json", "{\"format\": 9}");
    refuses(&workshop, &format!("report out {page}"), &["slicegpt-report.json", "update slicegpt"]);
}
