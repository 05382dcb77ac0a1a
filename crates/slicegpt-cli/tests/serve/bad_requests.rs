//! Invalid requests get an error in OpenAI's format, and the server keeps running.

use serde_json::{Value, json};

use slicegpt_testkit::http::{Reply, receive, send};
use slicegpt_testkit::server::{MODEL, PROMPT, Server};

fn check(what: &str, reply: &Reply, status: u16, param: Value, words: &str) {
    assert_eq!(reply.status, status, "{what}: {}", reply.body);
    assert_eq!(reply.header("content-type"), Some("application/json"), "{what}");
    let error = &reply.json()["error"];
    let keys: Vec<&str> = error.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["message", "type", "param", "code"], "{what}");
    assert_eq!(error["param"], param, "{what}: {error}");
    assert!(error["message"].as_str().unwrap().contains(words), "{what}: {words}: {error}");
}

#[test]
fn fields_that_are_wrong_are_named() {
    let server = Server::start(&[]);
    let long = "once upon a time ".repeat(400);
    for (fields, param, words) in [
        (json!({"prompt": null}), "prompt", "must provide a prompt"),
        (json!({"prompt": 7}), "prompt", "a string"),
        (json!({"prompt": []}), "prompt", "empty"),
        (json!({"prompt": [[]]}), "prompt", "empty"),
        (json!({"prompt": ["a", 7]}), "prompt", "array"),
        (json!({"prompt": [1, "a"]}), "prompt", "array"),
        (json!({"prompt": [1, -1]}), "prompt", "array"),
        (json!({"prompt": [1, 2048]}), "prompt", "token id 2048"),
        (json!({"prompt": {"a": 1}}), "prompt", "an object"),
        (json!({"prompt": long}), "prompt", "maximum context length is 512 tokens"),
        (json!({"max_tokens": 600}), "prompt", "maximum context length is 512 tokens"),
        (json!({"max_tokens": -1}), "max_tokens", "from 0"),
        (json!({"max_tokens": "5"}), "max_tokens", "a whole number, not a string"),
        (json!({"max_tokens": 1.5}), "max_tokens", "a whole number, not a fraction"),
        (json!({"max_tokens": u64::MAX}), "max_tokens", "from 0"),
        (json!({"temperature": -0.1}), "temperature", "from 0 to"),
        (json!({"temperature": 1e300}), "temperature", "from 0 to"),
        (json!({"temperature": "hot"}), "temperature", "a number, not a string"),
        (json!({"temperature": [1]}), "temperature", "a number, not an array"),
        (json!({"top_p": 1.5}), "top_p", "from 0 to 1"),
        (json!({"top_k": true}), "top_k", "a whole number"),
        (json!({"presence_penalty": 3}), "presence_penalty", "from -2 to 2"),
        (json!({"n": 0}), "n", "from 1 to"),
        (json!({"n": 1000}), "n", "from 1 to"),
        (json!({"n": 128, "prompt": ["a", "b", "c"]}), "prompt", "384 completions"),
        (json!({"seed": "x"}), "seed", "a whole number"),
        (json!({"stop": 5}), "stop", "a string or an array of strings"),
        (json!({"stop": ["a", 5]}), "stop", "a string or an array of strings"),
        (json!({"stop": vec!["a"; 100]}), "stop", "100 strings"),
        (json!({"stop": ["a", "b".repeat(1025)]}), "stop", "a string of 1025 bytes; 1024 at most"),
        (json!({"prompt": "a".repeat(100_000)}), "prompt", "text has 100000 bytes"),
        (json!({"prompt": vec![5; 5000]}), "prompt", "5000 in the prompt"),
        (json!({"echo": "yes"}), "echo", "true or false"),
        (json!({"stream": 1}), "stream", "true or false"),
        (json!({"logprobs": true}), "logprobs", "a whole number, not a boolean"),
        (json!({"logprobs": 21}), "logprobs", "from 0 to 20"),
        (json!({"stream_options": {"include_usage": true}}), "stream_options", "'stream' is true"),
        (json!({"stream": true, "stream_options": 1}), "stream_options", "an object"),
        (json!({"best_of": 3}), "best_of", "not supported"),
        (json!({"n": 2, "best_of": 1}), "best_of", "not supported"),
        (json!({"suffix": "end"}), "suffix", "not supported"),
        (json!({"logit_bias": {"5": 1}}), "logit_bias", "not supported"),
        (json!({"max_token": 5}), "max_token", "Unrecognized request argument"),
        (json!({"model": 5}), "model", "a string"),
        (json!({"model": null}), "model", "must provide a model"),
    ] {
        let mut body = json!({"model": MODEL, "prompt": PROMPT, "max_tokens": 2});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let reply = server.post("/v1/completions", &body);
        check(&fields.to_string(), &reply, 400, json!(param), words);
    }
    let code = |fields: Value| server.complete(fields).json()["error"]["code"].clone();
    assert_eq!(code(json!({"prompt": long})), "context_length_exceeded");
    assert_eq!(code(json!({"prompt": 1})), "invalid_type");
    server.assert_alive();
}

#[test]
fn conversations_that_are_wrong_are_named() {
    let server = Server::start(&[]);
    let user = |content: Value| json!({"messages": [{"role": "user", "content": content}]});
    let with = |name: &str, value: Value| {
        let mut body = user(json!("hi"));
        body[name] = value;
        body
    };
    for (body, param, words) in [
        (json!({}), "messages", "must provide messages"),
        (json!({"messages": "hi"}), "messages", "an array"),
        (json!({"messages": []}), "messages", "empty"),
        (json!({"messages": ["hi"]}), "messages[0]", "an object"),
        (json!({"messages": [{"content": "hi"}]}), "messages[0].role", "missing"),
        (json!({"messages": [{"role": "user"}]}), "messages[0].content", "missing"),
        (json!({"messages": [{"role": "tool", "content": "hi"}]}), "messages[0].role", "tool"),
        (json!({"messages": [{"role": 1, "content": "hi"}]}), "messages[0].role", "a string"),
        (user(json!(5)), "messages[0].content", "a string"),
        (
            user(json!([{"type": "image_url", "image_url": {"url": "x"}}])),
            "messages[0].content",
            "parts",
        ),
        (with("tools", json!([{"type": "function"}])), "tools", "not supported"),
        (with("tool_choice", json!("required")), "tool_choice", "not supported"),
        (
            with("response_format", json!({"type": "json_object"})),
            "response_format",
            "not supported",
        ),
        (with("top_logprobs", json!(2)), "top_logprobs", "'logprobs' is true"),
        (with("logprobs", json!(2)), "logprobs", "true or false"),
        (with("max_tokens", json!(0)), "max_tokens", "from 1"),
        (with("prompt", json!("x")), "prompt", "Unrecognized"),
    ] {
        let reply = server.chat(body.clone());
        check(&body.to_string(), &reply, 400, json!(param), words);
    }
    server.assert_alive();
}

#[test]
fn invalid_http_bodies_are_refused() {
    let server = Server::start(&[]);
    let path = "/v1/completions";
    for (method, path, body, status, param, words) in [
        ("POST", path, "{", 400, Value::Null, "not valid JSON"),
        ("POST", path, "", 400, Value::Null, "not valid JSON"),
        ("POST", path, "[1]", 400, Value::Null, "a JSON object, not an array"),
        ("POST", path, "\u{FEFF}{}", 400, Value::Null, "not valid JSON"),
        ("POST", path, "{\"temperature\": 1e999}", 400, Value::Null, "not valid JSON"),
        ("POST", path, "{\"model\": \"gpt\", \"prompt\": \"a\"}", 404, json!("model"), "`gpt`"),
        ("POST", "/v1/chat/completions", "nonsense", 400, Value::Null, "not valid JSON"),
        ("POST", "/v1/embeddings", "{}", 404, Value::Null, "POST /v1/embeddings"),
        ("GET", "/", "", 404, Value::Null, "GET /"),
        ("GET", "/v1/models/%FF", "", 404, json!("model"), "`%FF` does not exist"),
        ("GET", path, "", 405, Value::Null, "does not take GET"),
        ("DELETE", "/v1/models", "", 405, Value::Null, "does not take DELETE"),
        ("POST", "/health", "", 405, Value::Null, "does not take POST"),
    ] {
        let reply = receive(send(&server.address, method, path, "", body.as_bytes()));
        check(&format!("{method} {path} {body}"), &reply, status, param, words);
    }
    let nested = "[".repeat(100_000);
    let reply = receive(send(&server.address, "POST", path, "", nested.as_bytes()));
    check("nested", &reply, 400, Value::Null, "not valid JSON");
    let invalid = [b"{\"prompt\": \"".as_slice(), &[0xFF, 0xFE], b"\"}"].concat();
    let reply = receive(send(&server.address, "POST", path, "", &invalid));
    check("bytes that are no text", &reply, 400, Value::Null, "not valid JSON");
    let unknown = server.post(path, &json!({"model": "gpt", "prompt": "a"}));
    assert_eq!(unknown.json()["error"]["code"], "model_not_found");
    server.assert_alive();
}
