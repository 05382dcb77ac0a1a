//! Prompts and metrics equal those of lm-evaluation-harness, whose values `fixtures/tasks/make.py`
//! recorded for the documents in that directory.

use std::collections::BTreeMap;

use serde_json::Value;
use slicegpt_tasks::{
    AnswerLikelihoods, HARNESS, Item, Likelihood, Metric, MetricValue, Prompt, SEED, Scores, TASKS,
    documents, groups, prompts, scores, subtasks,
};
use slicegpt_testkit::fixtures;

fn expected() -> Value {
    let text = std::fs::read_to_string(fixtures().join("tasks/expected.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The metrics of a subtask, and its items with their prompts.
type Asked = (&'static [Metric], Vec<(Item, Prompt)>);

/// The items and prompts of every subtask, by its name in the harness.
fn asked(shots: usize) -> BTreeMap<String, Asked> {
    let directory = fixtures().join("tasks");
    let mut all = BTreeMap::new();
    for task in TASKS {
        let found = documents(&directory, task, shots).unwrap();
        let file = found.examples_file.clone().unwrap_or_default();
        for subtask in subtasks(task, found).unwrap() {
            let asked = prompts(task, &subtask, shots, SEED, &file).unwrap();
            all.insert(subtask.name, (task.metrics, asked));
        }
    }
    all
}

#[test]
fn prompts_are_those_of_the_harness() {
    let expected = expected();
    assert_eq!(expected["harness"], HARNESS);
    for shots in [0, 2] {
        let asked = asked(shots);
        let names: Vec<&String> = asked.keys().collect();
        let mut want: Vec<&String> = expected["tasks"].as_object().unwrap().keys().collect();
        want.sort();
        assert_eq!(names, want);
        for (name, (_, asked)) in &asked {
            let want = expected["tasks"][name][format!("shots_{shots}")].as_array().unwrap();
            assert_eq!(asked.len(), want.len(), "{name}");
            for ((_, prompt), want) in asked.iter().zip(want) {
                let pairs: Vec<Vec<&str>> = prompt.pairs().map(|(a, b)| vec![a, b]).collect();
                assert_eq!(serde_json::json!(pairs), *want, "{name}, {shots} shots");
            }
        }
    }
}

#[test]
fn versions_are_those_of_the_harness() {
    let expected = expected();
    for task in TASKS {
        let subtask = if task.name == "mmlu" { "mmlu_world_religions" } else { task.name };
        let version: f64 = task.version.parse().unwrap();
        assert_eq!(expected["tasks"][subtask]["version"], version, "{}", task.name);
    }
}

fn assert_close(found: f64, want: &Value, what: &str) {
    let want = want.as_f64().unwrap();
    assert!((found - want).abs() <= 1e-9 * want.abs().max(1.0), "{what}: {found}, not {want}");
}

#[test]
fn metrics_and_standard_errors_are_those_of_the_harness() {
    let expected = expected();
    for (name, (metrics, asked)) in asked(0) {
        let expected = &expected["tasks"][&name];
        let likelihoods = expected["likelihoods"].as_array().unwrap();
        let answers: Vec<AnswerLikelihoods> = likelihoods
            .iter()
            .map(|answers| {
                let likelihood = |x: &Value| Likelihood {
                    logprob: x[0].as_f64().unwrap(),
                    is_greedy: x[1].as_bool().unwrap(),
                };
                AnswerLikelihoods(answers.as_array().unwrap().iter().map(likelihood).collect())
            })
            .collect();
        let answered: Vec<(&Item, &AnswerLikelihoods)> =
            asked.iter().map(|(item, _)| item).zip(&answers).collect();
        let found = scores(metrics, &answered);
        assert_eq!(found.items, answers.len());
        assert_eq!(found.values.len(), expected["metrics"].as_object().unwrap().len(), "{name}");
        for value in &found.values {
            let what = format!("{name}: {}", value.metric.name());
            let want = &expected["metrics"][value.metric.name()];
            assert_close(value.value, &want[0], &what);
            match value.error {
                Some(error) => assert_close(error, &want[1], &what),
                None => assert!(want[1].is_null(), "{what}"),
            }
        }
    }
}

#[test]
fn groups_are_pooled_as_in_the_harness() {
    let expected = &expected()["pooled"];
    let list = |name: &str| -> Vec<f64> {
        expected[name].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
    };
    let (sizes, values, errors) = (list("sizes"), list("scores"), list("errors"));
    let each: Vec<Scores> = (0..sizes.len())
        .map(|i| {
            let value =
                MetricValue { metric: Metric::Acc, value: values[i], error: Some(errors[i]) };
            Scores { items: sizes[i] as usize, values: vec![value] }
        })
        .collect();
    let pooled = Scores::pooled(&each.iter().collect::<Vec<_>>());
    assert_eq!(pooled.items, 137);
    assert_close(pooled.values[0].value, &expected["value"], "value");
    assert_close(pooled.values[0].error.unwrap(), &expected["error"], "error");
}

#[test]
fn subjects_are_scored_in_their_groups() {
    let task = slicegpt_tasks::find("mmlu").unwrap();
    let subtasks = subtasks(task, documents(&fixtures().join("tasks"), task, 0).unwrap()).unwrap();
    let names: Vec<&str> = subtasks.iter().map(|subtask| subtask.name.as_str()).collect();
    let subjects = ["abstract_algebra", "high_school_us_history", "world_religions"];
    assert_eq!(names, subjects.map(|subject| format!("mmlu_{subject}")));
    let groups: Vec<(String, Vec<usize>)> =
        groups(task, &subtasks).into_iter().map(|group| (group.name, group.subtasks)).collect();
    let want = [
        ("mmlu".into(), vec![0, 1, 2]),
        ("mmlu_humanities".into(), vec![1, 2]),
        ("mmlu_stem".into(), vec![0]),
    ];
    assert_eq!(groups, want);
}
