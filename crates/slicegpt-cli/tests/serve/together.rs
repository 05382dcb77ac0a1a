//! Continuous batching: every request is answered as if it were alone.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use slicegpt_testkit::server::Server;

const PROMPTS: &[&str] = &[
    "Once upon a time, there was a little",
    "Tom and Lily",
    "The dog was",
    "One day, a girl named Sue went to the park. She saw a big",
    "\"Hello\", said the",
    "It was raining and",
    "A",
    "Ben likes to",
];

const STOPS: &[Option<&str>] = &[None, Some(".")];

/// Request `i`.
fn request(i: usize) -> Value {
    let mut body = json!({
        "prompt": PROMPTS[i % PROMPTS.len()],
        "temperature": 0,
        "echo": i.is_multiple_of(5),
        "max_tokens": 5 + i / PROMPTS.len() % 4 * 20,
        "stream": i.is_multiple_of(3),
    });
    if let Some(stop) = STOPS[i / 32 % 2] {
        body["stop"] = json!(stop);
    }
    body
}

/// The text of the answer to `body`, streamed or not.
fn text(server: &Server, body: &Value) -> String {
    let reply = server.complete(body.clone());
    if body["stream"] == true {
        let events = reply.events();
        return events.iter().map(|event| event["choices"][0]["text"].as_str().unwrap()).collect();
    }
    reply.ok()["choices"][0]["text"].as_str().unwrap().to_string()
}

#[test]
fn two_hundred_concurrent_requests_are_answered_as_if_alone() {
    let server = Server::start(&["--max-sequences", "48"]);
    let bodies: Vec<Value> = (0..200).map(request).collect();
    // First each kind of request by itself.
    let mut lone = BTreeMap::new();
    for body in &bodies {
        lone.entry(body.to_string()).or_insert_with(|| text(&server, body));
    }
    assert!(lone.len() > 60, "{} kinds", lone.len());
    let before = server.metric("slicegpt_steps_total");
    let tokens = server.metric("slicegpt_generated_tokens_total");
    std::thread::scope(|scope| {
        let asked: Vec<_> = bodies.iter().map(|body| scope.spawn(|| text(&server, body))).collect();
        for (body, found) in bodies.iter().zip(asked) {
            assert_eq!(found.join().unwrap(), lone[&body.to_string()], "{body}");
        }
    });
    // The requests shared forwards.
    let steps = server.metric("slicegpt_steps_total") - before;
    let tokens = server.metric("slicegpt_generated_tokens_total") - tokens;
    assert!(tokens > 8.0 * steps, "{tokens} tokens in {steps} steps");
    server.wait("slicegpt_sequences_running", |running| running == 0.0);
}
