//! Unknown tasks, and invalid task data.

use crate::sandbox::{Sandbox, none};

const PIQA: &str = r#"{"goal": "g", "sol1": "a", "sol2": "b", "label": 0}"#;

fn check(sandbox: &Sandbox, rows: &[(&str, &[&str])]) {
    let mut complaints = Vec::new();
    for (options, says) in rows {
        let command = format!("eval tasks dense {options}");
        complaints.extend(sandbox.complaint(sandbox.slicegpt(".", &command), says));
    }
    none(&complaints);
}

#[test]
fn unknown_tasks_and_missing_files_are_named() {
    let sandbox = Sandbox::new("models/ts-llama3-gqa");
    for (folder, file, contents) in [
        ("good", "piqa.jsonl", PIQA),
        ("empty", "piqa.jsonl", "\n"),
        ("cut", "piqa.jsonl", "{\"goal\": \"g\", \"sol1\""),
        ("field", "piqa.jsonl", "\n{\"goal\": \"g\", \"sol1\": \"a\", \"label\": 0}\n"),
        (
            "label",
            "piqa.jsonl",
            "{\"goal\": \"g\", \"sol1\": \"a\", \"sol2\": \"b\", \"label\": 2}\n",
        ),
        ("other", "piqa.jsonl", "{\"text\": \"a b\"}\n"),
        ("form", "piqa.jsonl", "{\"query\": \"a\", \"choices\": [\"b\"], \"gold\": 1}\n"),
        ("word", "lambada_openai.jsonl", "{\"context\": \"a\", \"continuation\": 3}\n"),
    ] {
        sandbox.create_dir(folder);
        sandbox.write(&format!("{folder}/{file}"), contents);
    }
    sandbox.create_dir("latin");
    sandbox.write("latin/piqa.jsonl", b"{\"goal\": \"caf\xe9\"}\n");
    let rows: &[(&str, &[&str])] = &[
        ("--tasks pika --data good", &["`pika`", "piqa", "lambada_openai", "mmlu"]),
        ("--tasks piqa,piqa --data good", &["piqa is given twice"]),
        ("--tasks piqa --data nowhere", &["nowhere", "not a directory; --data names"]),
        ("--tasks piqa --data good/piqa.jsonl", &["not a directory"]),
        ("--tasks piqa,mmlu --data good", &["good", "mmlu.jsonl or mmlu_test.jsonl"]),
        ("--tasks piqa --data empty", &["empty/piqa.jsonl", "no documents"]),
        ("--tasks piqa --data cut", &["cut/piqa.jsonl: line 1", "character"]),
        ("--tasks piqa --data latin", &["latin/piqa.jsonl", "UTF-8", "byte 13"]),
        ("--tasks piqa --data field", &["field/piqa.jsonl: line 2", "`sol2` is missing"]),
        ("--tasks piqa --data label", &["label/piqa.jsonl: line 1", "`label` is 2", "0 to 1"]),
        ("--tasks piqa --data other", &["line 1", "not a document of task piqa", "`text`"]),
        ("--tasks piqa --data form", &["`gold` is 1", "from 0 to 0"]),
        ("--tasks lambada_openai --data word", &["`continuation` is a number"]),
        (
            "--tasks piqa --data good --num-fewshot 1",
            &["good", "piqa_train.jsonl", "--num-fewshot 0"],
        ),
        ("--tasks piqa --data good --num-fewshot 5000", &["--num-fewshot", "0 to 1000"]),
        ("--tasks piqa --data good --limit 0", &["--limit", "above 0"]),
        ("--tasks piqa --data good --limit 1.5", &["--limit", "between 0 and 1"]),
        ("--tasks piqa --data good --log-samples good", &["good", "directory"]),
        ("--tasks piqa --data good --log-samples dense/log.jsonl", &["dense"]),
        (
            "--tasks piqa --data good --log-samples good/piqa.jsonl",
            &["inside the directory of --data"],
        ),
        (
            "--tasks piqa --data good --log-samples good/log.jsonl",
            &["inside the directory of --data"],
        ),
        ("--tasks piqa", &["--data"]),
        ("--data good", &["--tasks"]),
    ];
    check(&sandbox, rows);
}

#[test]
fn the_model_has_a_tokenizer_of_its_own() {
    let sandbox = Sandbox::new("models/ts-llama3-gqa");
    sandbox.create_dir("good");
    sandbox.write("good/piqa.jsonl", PIQA);
    let command = "--tasks piqa --data good";
    // An answer with more tokens than the context.
    let long = format!(
        "{{\"goal\": \"g\", \"sol1\": \"a\", \"sol2\": \"{}\", \"label\": 0}}",
        "once upon a time ".repeat(300)
    );
    sandbox.create_dir("long");
    sandbox.write("long/piqa.jsonl", long);
    check(&sandbox, &[("--tasks piqa --data long", &["line 1", "answer 1 has", "sees 512"])]);
    sandbox.json("dense/tokenizer.json", |json| {
        json["model"]["vocab"]["Ġa"] = 5001.into();
    });
    check(&sandbox, &[(command, &["token 5001", "do not belong together"])]);
    sandbox.remove("dense/tokenizer.json");
    check(&sandbox, &[(command, &["tokenizer.json is missing"])]);
}
