//! `compress --eval-text`: the sliced model compared with the dense one.

use serde_json::Value;
use slicegpt_testkit::{TRAINED, Workshop};

const TEXT: &str = "--eval-text FIXTURES/text/valid.txt --seqlen 64 --eval-max-samples 8";

fn number(json: &Value, key: &str) -> f64 {
    json[key].as_f64().unwrap_or_else(|| panic!("{key}: {json}"))
}

/// The fractions of equal continuations, by length.
fn same(evaluation: &Value) -> Vec<(u64, f64)> {
    let list = evaluation["continuations"]["same"].as_array().unwrap();
    list.iter().map(|it| (it["tokens"].as_u64().unwrap(), number(it, "fraction"))).collect()
}

#[test]
fn a_model_that_is_not_cut_agrees_with_the_dense_one() {
    let workshop = Workshop::new(TRAINED);
    let whole = "--method per-layer --sparsity 0 --dtype f32 --samples 2";
    let result = workshop.json(&format!("compress MODEL --out out {whole} {TEXT}"));
    let found = &result["evaluations"][0];
    assert!(number(found, "kl").abs() < 1e-6, "{found}");
    assert_eq!(found["top1_agreement"], 1.0, "{found}");
    assert_eq!(same(found), [(8, 1.0), (16, 1.0), (32, 1.0)], "{found}");
}

/// The numbers are those of the other commands, and a smaller model is further away.
#[test]
fn a_cut_model_differs_as_eval_says() {
    let workshop = Workshop::new(TRAINED);
    let result = workshop.json(&format!("compress MODEL --out out --samples 8 {TEXT}"));
    let found = &result["evaluations"][0];
    let text = "--text FIXTURES/text/valid.txt --seqlen 64 --max-samples 8";
    let kl = workshop.json(&format!("eval kl MODEL out {text}"));
    for (key, other) in [
        ("kl", "kl"),
        ("kl_standard_error", "kl_standard_error"),
        ("top1_agreement", "top1_agreement"),
        ("kl_tokens", "tokens"),
        ("kl_protocol", "protocol"),
        ("samples", "samples"),
        ("seqlen", "seqlen"),
    ] {
        assert_eq!(found[key], kl[other], "{key}: {found}");
    }
    for (model, key) in [("MODEL", "perplexity_before"), ("out", "perplexity_after")] {
        let ppl = workshop.json(&format!("eval ppl {model} {text}"));
        assert_eq!(found[key], ppl["perplexity"], "{key}: {found}");
        assert_eq!(
            (&found["tokens"], &found["protocol"]),
            (&ppl["tokens"], &ppl["protocol"]),
            "{found}"
        );
        assert_eq!(result[key], found[key]);
    }
    assert!(number(found, "kl") > 0.01 && number(found, "top1_agreement") < 1.0, "{found}");
    // 8 x 64 tokens hold 16 prompts of 32 tokens.
    let continued = &found["continuations"];
    assert_eq!((&continued["prompts"], &continued["prompt_tokens"]), (&16.into(), &32.into()));
    let same = same(found);
    assert_eq!(same.iter().map(|(tokens, _)| *tokens).collect::<Vec<_>>(), [8, 16, 32]);
    assert!(same.is_sorted_by(|a, b| a.1 >= b.1) && same[2].1 < 1.0, "{found}");
    // The record has the same list.
    assert_eq!(
        workshop.read_json("out/slicegpt-report.json")["evaluations"],
        result["evaluations"]
    );
}

#[test]
fn several_texts_and_tensors_are_evaluated_one_by_one() {
    let workshop = Workshop::new("families/llama2");
    let tokens = "--calibration MODEL/expected.safetensors --samples 2";
    let file = "MODEL/expected.safetensors";
    let texts = format!("--eval-text {file} --eval-text {file}:padded_input_ids");
    let command = format!("compress MODEL --keep-params 0.7 {tokens} {texts}");
    let result = workshop.json(&format!("{command} --out out"));
    let list = result["evaluations"].as_array().unwrap();
    let names: Vec<_> = list.iter().map(|it| it["text"].as_str().unwrap()).collect();
    assert_eq!(names, ["expected.safetensors", "expected.safetensors:padded_input_ids"]);
    let tokens: Vec<_> = list.iter().map(|it| it["kl_tokens"].as_u64().unwrap()).collect();
    assert_eq!(tokens, [48, 43]);
    // Two sequences of 24 tokens, one of them padded.
    let prompts = |it: &Value| it["continuations"]["prompts"].as_u64();
    assert_eq!(list.iter().map(prompts).collect::<Vec<_>>(), [Some(2), Some(1)]);
    assert_eq!(list[0]["continuations"]["prompt_tokens"], 24);
    assert_eq!(result["perplexity_after"], list[0]["perplexity_after"]);

    let printed = workshop.succeed(&format!("{command} --out shown")).stdout;
    for words in ["expected.safetensors:padded_input_ids", "same first 16", "KL per", "2 x 24"] {
        assert!(printed.contains(words), "{words}: {printed}");
    }
    let none = workshop.json(&format!("{command} --out none --eval-prompts 0"));
    assert_eq!(none["evaluations"][0]["continuations"], Value::Null);
    assert_eq!(none["evaluations"][0]["kl"], list[0]["kl"]);
    let printed = workshop.succeed(&format!("{command} --out few --eval-prompts 0")).stdout;
    assert!(!printed.contains("same first"), "{printed}");
}
