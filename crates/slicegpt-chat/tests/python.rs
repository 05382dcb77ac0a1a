//! Templates give what they give in Python, with the results that
//! `xtask/python/templates.py write` saved.

use serde_json::Value;
use slicegpt_chat::Jinja;

#[test]
fn templates_give_what_they_give_in_python() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/templates");
    let read = |name: &str| std::fs::read_to_string(format!("{folder}/{name}")).unwrap();
    let variables: Value = serde_json::from_str(&read("variables.json")).unwrap();
    let variables: Vec<_> =
        variables.as_object().unwrap().iter().map(|(name, value)| (&**name, value)).collect();
    let cases = read("python.jsonl");
    let mut refused = 0;
    for line in cases.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let template = case["template"].as_str().unwrap();
        let given = Jinja::new(template).and_then(|template| template.render(&variables));
        match case["text"].as_str() {
            Some(text) => assert_eq!(given.as_deref(), Ok(text), "{template}"),
            None => {
                refused += 1;
                assert!(given.is_err(), "{template}: {given:?}");
            }
        }
    }
    assert!(refused > 100 && cases.lines().count() - refused > 1000);
}
