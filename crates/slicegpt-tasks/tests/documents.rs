//! Data files in every form, and documents that are formatted already.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use slicegpt_tasks::{Item, TaskError, documents, find, prompts, subtasks};
use tempfile::TempDir;

/// The items of a task with these data files.
fn items(task: &str, files: &[(&str, &str)], shots: usize) -> Result<Vec<Item>, TaskError> {
    let directory = folder(files);
    let task = find(task)?;
    let found = documents(directory.path(), task, shots)?;
    let file = found.examples_file.clone().unwrap_or_default();
    let mut items = Vec::new();
    for subtask in subtasks(task, found)? {
        items.extend(prompts(task, &subtask, shots, 1, &file)?.into_iter().map(|(item, _)| item));
    }
    Ok(items)
}

fn folder(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(directory.path().join(name), text).unwrap();
    }
    directory
}

/// The error about a file with one document.
fn refused(task: &str, document: Value) -> String {
    let file = format!("{task}.jsonl");
    let text = format!("\n{document}\n");
    items(task, &[(&file, &text)], 0).unwrap_err().to_string()
}

#[test]
fn formatted_documents_give_the_same_items() {
    for (task, formatted, plain) in [
        (
            "piqa",
            json!({"query": "Question: boil an egg\n", "choices": ["a", "b"], "gold": 1}),
            json!({"goal": "boil an egg", "sol1": "a", "sol2": "b", "label": 1}),
        ),
        (
            "arc_easy",
            json!({"query": "Question: Why?\nAnswer:", "choices": ["x", "y", "z"], "gold": 2}),
            json!({"question": "Why?", "answerKey": "3",
                   "choices": {"text": ["x", "y", "z"], "label": ["1", "2", "3"]}}),
        ),
        (
            "winogrande",
            json!({"context_options": ["So Ann", "So Eve"], "continuation": "slept.", "gold": 0}),
            json!({"sentence": "So _ slept.", "option1": "Ann", "option2": "Eve", "answer": 1}),
        ),
        (
            "lambada_openai",
            json!({"context": "A cat is a", "continuation": "cat"}),
            json!({"text": "A cat is a cat"}),
        ),
        (
            "hellaswag",
            json!({"query": "Golf: He hits. The ball", "gold": "0",
                   "choices": ["flies.", "sits."]}),
            json!({"activity_label": "Golf", "ctx_a": "He hits.", "ctx_b": "the ball",
                   "endings": ["flies.", "[x]sits."], "label": "0"}),
        ),
        (
            "hellaswag",
            json!({"question": "He [x]hits.", "answer": "B",
                   "choices": {"A": "[title]flies.", "B": "b"}}),
            json!({"query": "He hits.", "choices": ["flies.", "b"], "gold": 1}),
        ),
        (
            "mmlu",
            json!({"query": "One?\nA. a\nB. b\nC. c\nD. d\n", "gold": 3,
                   "choices": ["A", "B", "C", "D"]}),
            json!({"question": "One?", "choices": ["a", "b", "c", "d"], "answer": "D"}),
        ),
    ] {
        let file = format!("{task}.jsonl");
        let read = |document: &Value| items(task, &[(&file, &document.to_string())], 0).unwrap();
        assert_eq!(read(&formatted), read(&plain), "{task}");
    }
}

const DOG: &str = r#"{"text": "the dog saw the dog"}"#;
const CAT: &str = r#"{"text": "the cat saw the cat"}"#;

#[test]
fn files_may_have_several_forms_and_names() {
    let both = format!("[{DOG}, {CAT}]");
    let lines = format!("{DOG}\n\n{CAT}\n");
    let splits = format!(r#"{{"dataset": "x", "dev": [{DOG}], "test": [{CAT}, {DOG}]}}"#);
    let want = items("lambada_openai", &[("lambada_openai.jsonl", &lines)], 0).unwrap();
    assert_eq!(want.len(), 2);
    for (name, text) in [
        ("lambada_openai.json", &both),
        ("lambada_openai.jsonl", &both),
        ("lambada_openai.json", &lines),
        ("lambada_openai_test.jsonl", &lines),
        ("lambada_openai_validation.jsonl", &lines),
        ("lambada_openai_2000.json", &both),
    ] {
        assert_eq!(items("lambada_openai", &[(name, text)], 0).unwrap(), want, "{name}");
    }
    let found = items("lambada_openai", &[("lambada_openai.json", &splits)], 0).unwrap();
    assert_eq!(found, [want[1].clone(), want[0].clone()]);
    let two = [("lambada_openai_a.jsonl", DOG), ("lambada_openai_b.jsonl", DOG)];
    let error = items("lambada_openai", &two, 0).unwrap_err().to_string();
    assert!(error.contains("lambada_openai_a.jsonl, lambada_openai_b.jsonl"), "{error}");
}

#[test]
fn examples_come_from_the_same_split_as_in_the_harness() {
    let document = |i: usize| json!({"goal": i.to_string(), "sol1": "a", "sol2": "b", "label": 0});
    let lines = |n: usize| (0..n).map(|i| format!("{}\n", document(i))).collect::<String>();
    let (one, three) = (lines(1), lines(3));
    let found = items("piqa", &[("piqa.jsonl", &one), ("piqa_train.jsonl", &three)], 2).unwrap();
    assert_eq!(found.len(), 1);
    let few = |files: &[(&str, &str)], shots| items("piqa", files, shots).unwrap_err().to_string();
    let error = few(&[("piqa.jsonl", &one), ("piqa_train.jsonl", &three)], 3);
    for word in ["piqa_train.jsonl", "3 examples", "4 are needed"] {
        assert!(error.contains(word), "{error}");
    }
    let error = few(&[("piqa.jsonl", &three)], 1);
    for word in ["no examples for task piqa", "piqa_train.jsonl"] {
        assert!(error.contains(word), "{error}");
    }
    // The scored file is not used as the source of its own examples.
    let error = few(&[("piqa_validation.jsonl", &three)], 1);
    assert!(error.contains("no examples"), "{error}");
    let splits =
        json!({"validation": [document(1)], "train": [document(0), document(2), document(3)]});
    assert_eq!(items("piqa", &[("piqa.json", &splits.to_string())], 2).unwrap().len(), 1);
    // All examples are equal to the scored document.
    let error = few(&[("piqa.jsonl", &one), ("piqa_train.jsonl", &one.repeat(3))], 2);
    assert!(error.contains("piqa_train.jsonl"), "{error}");
}

#[test]
fn an_error_about_a_document_names_its_place() {
    let piqa = json!({"goal": "g", "sol1": "a", "sol2": "b", "label": 0});
    let with = |field: &str, value: Value| {
        let mut document = piqa.clone();
        document[field] = value;
        refused("piqa", document)
    };
    let without = |field: &str| {
        let mut document = piqa.clone();
        document.as_object_mut().unwrap().remove(field);
        refused("piqa", document)
    };
    let arc =
        json!({"question": "q", "choices": {"text": ["a", "b"], "label": ["A"]}, "answerKey": "A"});
    for (error, words) in [
        (with("label", json!(2)), ["`label`", "is 2", "from 0 to 1"]),
        (with("label", json!(-1)), ["`label`", "is -1", "from 0 to 1"]),
        (with("label", json!("")), ["`label`", "\"\"", "from 0 to 1"]),
        (with("sol1", json!(3)), ["`sol1`", "a number", "not a string"]),
        (without("sol2"), ["`sol2`", "is missing", ""]),
        (without("goal"), ["task piqa", "`sol1`, `sol2`, `label`", "`goal`"]),
        (refused("arc_easy", arc), ["`choices`", "2 texts", "1 labels"]),
        (
            refused(
                "winogrande",
                json!({"sentence": "x", "option1": "", "option2": "", "answer": "1"}),
            ),
            ["`sentence`", "has no `_`", ""],
        ),
        (
            refused("mmlu", json!({"question": "q", "choices": ["a"], "answer": 0})),
            ["`choices`", "has 1", "not 4"],
        ),
        (
            refused("arc_easy", json!({"query": "q", "choices": [], "gold": 0})),
            ["`choices`", "an empty list", ""],
        ),
        (refused("piqa", json!(5)), ["a number", "not a JSON object", ""]),
    ] {
        assert!(error.contains(".jsonl: line 2"), "{error}");
        words.iter().for_each(|word| assert!(error.contains(word), "`{word}` in {error}"));
    }
}

#[test]
fn an_error_about_a_file_names_the_file() {
    let error = |files: &[(&str, &str)]| items("piqa", files, 0).unwrap_err().to_string();
    for (text, words) in [
        ("{\"goal\": \"a\"", vec!["piqa.jsonl: line 1", "character"]),
        ("\n\n{\"goal\": \"a\"}}", vec!["piqa.jsonl: line 3"]),
        ("", vec!["piqa.jsonl", "no documents"]),
        ("[]", vec!["piqa.jsonl", "no documents"]),
        ("[{]", vec!["piqa.jsonl: line 1"]),
        ("[{}, 2]", vec!["piqa.jsonl: record 2", "a number"]),
    ] {
        let error = error(&[("piqa.jsonl", text)]);
        words.iter().for_each(|word| assert!(error.contains(word), "`{word}` in {error}"));
    }
    assert!(error(&[]).contains("piqa.jsonl or piqa_validation.jsonl (or .json)"));
    assert!(error(&[("piqa.json", "3")]).contains("not a JSON object"));
    assert!(error(&[("piqa.json", "{\"none\": []}")]).contains("no documents"));
    let task = find("piqa").unwrap();
    let error = documents(Path::new("nowhere"), task, 0).unwrap_err().to_string();
    assert!(error.contains("nowhere: is not a directory"), "{error}");
    let error = find("pika").err().unwrap().to_string();
    assert!(error.contains("`pika`") && error.contains("piqa, hellaswag"), "{error}");
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_refused_at_once() {
    let directory = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/dev/zero", directory.path().join("piqa.jsonl")).unwrap();
    let task = find("piqa").unwrap();
    let error = documents(directory.path(), task, 0).unwrap_err().to_string();
    assert!(error.ends_with("piqa.jsonl: is a device, not a file"), "{error}");
}
