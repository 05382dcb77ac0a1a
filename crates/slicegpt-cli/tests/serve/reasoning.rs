//! `--reasoning-format`: the thoughts of an answer, apart from it.

use serde_json::{Value, json};

use slicegpt_testkit::server::{PROMPT, Server};

/// A server whose template ends with `end`, and the folder of the template.
fn server(end: &str, options: &[&str]) -> (Server, tempfile::TempDir) {
    let scratch = tempfile::tempdir().unwrap();
    let template = scratch.path().join("chat.jinja");
    let source = format!("<|begin_of_text|>{{{{ messages[0].content }}}}{end}");
    std::fs::write(&template, source).unwrap();
    let options = [&["--chat-template", template.to_str().unwrap()], options].concat();
    (Server::start(&options), scratch)
}

fn ask(more: Value) -> Value {
    let mut body = json!({"messages": [{"role": "user", "content": PROMPT}], "max_tokens": 24,
        "temperature": 0});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

/// The parts of a stream, joined.
fn joined(events: &[Value], name: &str) -> String {
    events.iter().filter_map(|event| event["choices"][0]["delta"][name].as_str()).collect()
}

/// The template begins thoughts that this model never ends.
#[test]
fn thoughts_are_apart() {
    let (server, _scratch) = server("<think>", &["--reasoning-format", "deepseek"]);
    let whole = server.chat(ask(json!({"reasoning_format": "none"}))).ok();
    let text = whole["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(whole["choices"][0]["message"].get("reasoning_content").is_none());
    for more in [json!({}), json!({"reasoning_format": "deepseek"}), json!({"logprobs": true})] {
        let apart = server.chat(ask(more)).ok();
        let message = &apart["choices"][0]["message"];
        assert_eq!((&message["content"], &message["role"]), (&json!(""), &json!("assistant")));
        assert_eq!(message["reasoning_content"], text.trim());
        assert_eq!(apart["usage"], whole["usage"]);
    }
    let events = server.chat(ask(json!({"stream": true}))).events();
    assert_eq!(joined(&events, "reasoning_content"), text.trim());
    assert_eq!(joined(&events, "content"), "");
    let error = server.chat(ask(json!({"reasoning_format": "x"}))).json()["error"].clone();
    assert_eq!(error["param"], "reasoning_format");
    // Completions are texts, whatever they hold.
    let body = json!({"prompt": format!("{PROMPT}<think>"), "max_tokens": 24, "temperature": 0});
    assert_eq!(server.complete(body).ok()["choices"][0]["text"], text);
}

/// A text without thoughts is the answer.
#[test]
fn an_answer_without_thoughts_is_whole() {
    let (server, _scratch) = server("", &["--reasoning-format", "deepseek"]);
    let plain = server.chat(ask(json!({"reasoning_format": "none"}))).ok();
    let found = server.chat(ask(json!({}))).ok();
    assert_eq!(found["choices"], plain["choices"]);
    let events = server.chat(ask(json!({"stream": true}))).events();
    let text = plain["choices"][0]["message"]["content"].as_str().unwrap();
    assert_eq!(joined(&events, "content"), text);
    assert_eq!(joined(&events, "reasoning_content"), "");
}
