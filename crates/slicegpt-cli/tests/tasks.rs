//! `eval tasks`: its output, and the record of how it was run.

use std::path::Path;

use serde_json::Value;
use slicegpt_testkit::{Cli, fixtures};

/// `eval tasks` on the documents of the fixtures.
fn eval(model: &Path, options: &str) -> Cli {
    let command = Cli::new("eval tasks").arg(model).arg("--data").arg(fixtures().join("tasks"));
    command.words(options)
}

fn json(model: &Path, options: &str) -> Value {
    eval(model, options).json()
}

fn models() -> [std::path::PathBuf; 4] {
    ["ts-llama3-gqa", "ts-opt", "ts-phi", "ts-phi3"]
        .map(|name| fixtures().join("models").join(name))
}

const ALL: &str =
    "--tasks piqa,hellaswag,winogrande,arc_easy,arc_challenge,lambada_openai,mmlu --num-fewshot 2";

fn samples(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn batches_change_nothing_in_any_model() {
    let scratch = tempfile::tempdir().unwrap();
    for model in models() {
        let logged = |batch: &str| {
            let path = scratch.path().join(format!("{batch}.jsonl"));
            let options = format!("{ALL} --batch-size {batch} --log-samples {}", path.display());
            let found = json(&model, &options);
            (found, samples(&path))
        };
        let ((one, first), (many, second)) = (logged("1"), logged("50"));
        assert_eq!(first.len(), second.len());
        for (a, b) in first.iter().zip(&second) {
            assert_eq!(a["arguments"], b["arguments"]);
            let (a, b) = (a["resps"].as_array().unwrap(), b["resps"].as_array().unwrap());
            for (a, b) in a.iter().zip(b) {
                let (x, y) = (a[0].as_f64().unwrap(), b[0].as_f64().unwrap());
                assert!((x - y).abs() <= 1e-4 * x.abs(), "{}: {x} {y}", model.display());
                assert_eq!(a[1], b[1]);
            }
        }
        for task in ["piqa", "hellaswag", "winogrande", "arc_easy", "lambada_openai", "mmlu"] {
            assert_eq!(one["results"][task]["acc,none"], many["results"][task]["acc,none"]);
        }
    }
}

#[test]
fn json_has_the_names_of_the_harness_and_the_settings() {
    let found = json(&models()[0], &format!("{ALL} --limit 2"));
    assert_eq!(found["harness"], "lm-evaluation-harness 0.4.13");
    assert_eq!(found["n-shot"]["piqa"], 2);
    assert_eq!(found["versions"]["mmlu_abstract_algebra"], 1.0);
    assert_eq!(found["versions"]["mmlu"], 2.0);
    assert_eq!(found["n-samples"]["piqa"]["original"], 5);
    assert_eq!(found["n-samples"]["piqa"]["effective"], 2);
    // Of each subject.
    assert_eq!(found["n-samples"]["mmlu"]["effective"], 4);
    assert_eq!(found["higher_is_better"]["lambada_openai"]["perplexity"], false);
    assert_eq!(found["truncated"]["piqa"], 0);
    assert_eq!(found["config"]["limit"], 2);
    assert_eq!(found["config"]["fewshot_seed"], 1234);
    let file = |task: &str, of: &str| found["files"][task][of].as_str().unwrap().to_string();
    assert!(file("piqa", "documents").ends_with("piqa_validation.jsonl"));
    assert!(file("piqa", "examples").ends_with("piqa_train.jsonl"));
    assert!(file("mmlu", "examples").ends_with("mmlu_dev.jsonl"));
    let groups: Vec<&String> = found["groups"].as_object().unwrap().keys().collect();
    assert_eq!(groups, ["mmlu", "mmlu_humanities", "mmlu_stem"]);
    let piqa = &found["results"]["piqa"];
    for name in ["acc,none", "acc_stderr,none", "acc_norm,none", "acc_norm_stderr,none"] {
        assert!(piqa[name].is_number(), "{name}: {piqa}");
    }
    assert!(found["results"]["winogrande"].get("acc_norm,none").is_none());
    // One document has no standard error.
    assert_eq!(found["results"]["mmlu_world_religions"]["acc_stderr,none"], "N/A");
    assert_eq!(
        json(&models()[0], &format!("{ALL} --limit 0.3"))["n-samples"]["piqa"]["effective"],
        2
    );
}

#[test]
fn documents_without_a_subject_give_a_warning() {
    let data = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(fixtures().join("tasks/mmlu_test.jsonl")).unwrap();
    let mut lines = String::new();
    for line in text.lines() {
        let mut document: Value = serde_json::from_str(line).unwrap();
        document.as_object_mut().unwrap().remove("subject");
        lines += &format!("{document}\n");
    }
    std::fs::write(data.path().join("mmlu_test.jsonl"), lines).unwrap();
    let options = format!("--tasks mmlu --device cpu --data {}", data.path().display());
    let said = Cli::new("eval tasks").arg(&models()[0]).words(&options).succeed().stderr;
    assert!(said.contains("warning: mmlu: ") && said.contains("has no field `subject`"), "{said}");
}

#[test]
fn the_table_names_the_metrics() {
    let table = eval(&models()[3], "--tasks arc_easy,lambada_openai").succeed().stdout;
    for word in
        ["task", "stderr", "n-shot", "acc_norm", "perplexity", "lm-evaluation-harness 0.4.13"]
    {
        assert!(table.contains(word), "{word}: {table}");
    }
}

#[test]
fn prompts_longer_than_the_context_are_truncated_and_counted() {
    let scratch = tempfile::tempdir().unwrap();
    let log = scratch.path().join("log.jsonl");
    // 20 few-shot examples of thirty and more tokens before each question.
    let options = format!("--tasks arc_easy --num-fewshot 20 --log-samples {}", log.display());
    let said = eval(&models()[1], &options).succeed().stderr;
    assert!(said.contains("warning: arc_easy: 3 of 3 documents are longer than the 512"), "{said}");
    let found = json(&models()[1], &options);
    assert_eq!(found["truncated"]["arc_easy"], 3);
    let logged = samples(&log);
    assert!(logged.iter().all(|sample| sample["truncated"] == true));
    assert!(logged.iter().all(|sample| sample["resps"][0][0].as_f64().unwrap() < 0.0));
}

#[test]
fn answers_longer_than_the_context_are_refused_or_skipped() {
    let data = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(fixtures().join("tasks/piqa_validation.jsonl")).unwrap();
    let long =
        format!(r#"{{"goal": "g", "sol1": "{}", "sol2": "b", "label": 0}}"#, "a b ".repeat(600));
    std::fs::write(data.path().join("piqa.jsonl"), format!("{long}\n{text}")).unwrap();
    let log = data.path().with_extension("log");
    let command = || {
        let command = Cli::new("eval tasks --tasks piqa").arg(&models()[0]);
        command.arg("--data").arg(data.path()).arg("--log-samples").arg(&log)
    };
    command().refuse(&["line 1: answer 0 has", "--skip-too-long"]);
    let run = command().words("--skip-too-long --json").succeed();
    assert!(run.stderr.contains("warning: piqa: 1 documents are left out"), "{}", run.stderr);
    let found = run.json();
    let documents = text.lines().count();
    assert_eq!(found["skipped"]["piqa"], 1);
    assert_eq!(found["n-samples"]["piqa"]["original"], documents + 1);
    assert_eq!(found["n-samples"]["piqa"]["effective"], documents);
    let ids: Vec<_> = samples(&log).iter().map(|line| line["doc_id"].as_u64().unwrap()).collect();
    assert_eq!(ids, (1..=documents as u64).collect::<Vec<_>>());
    std::fs::remove_file(log).unwrap();
}

#[test]
fn cut_models_are_scored_too() {
    let scratch = tempfile::tempdir().unwrap();
    for method in ["per-layer", "shared"] {
        let out = scratch.path().join(method);
        let compress = Cli::new("compress --sparsity 0.25 --samples 4 --seqlen 64");
        compress.arg(&models()[2]).args(["--method", method, "--out"]).arg(&out).succeed();
        let found = json(&out, "--tasks piqa,lambada_openai");
        assert!(found["results"]["lambada_openai"]["perplexity,none"].as_f64().unwrap() > 1.0);
    }
}
