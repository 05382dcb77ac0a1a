//! Chat completions.

use serde_json::{Value, json};

use slicegpt_testkit::server::{PROMPT, Server};

/// A server with a chat template.
fn server() -> (Server, tempfile::TempDir) {
    let scratch = tempfile::tempdir().unwrap();
    let template = scratch.path().join("chat.jinja");
    let source = "{% if messages[0].role == 'assistant' %}{{ raise_exception('the user begins') }}\
                  {% endif %}<|begin_of_text|>{% for message in messages %}{{ message['content'] }}\
                  {% endfor %}";
    std::fs::write(&template, source).unwrap();
    (Server::start(&["--chat-template", template.to_str().unwrap()]), scratch)
}

fn conversation(more: Value) -> Value {
    let mut body = json!({"messages": [{"role": "system", "content": "Once upon a time"},
        {"role": "user", "content": [{"type": "text", "text": ", there was a little"}]}],
        "max_tokens": 24, "temperature": 0});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

#[test]
fn a_conversation_is_answered() {
    let (server, scratch) = server();
    let body = json!({"prompt": PROMPT, "max_tokens": 24, "temperature": 0, "logprobs": 2});
    let want = server.complete(body).ok();
    let found = server.chat(conversation(json!({"logprobs": true, "top_logprobs": 2}))).ok();
    assert_eq!(found["object"], "chat.completion");
    assert!(found["id"].as_str().unwrap().starts_with("chatcmpl-"));
    let choice = &found["choices"][0];
    assert_eq!(choice["message"]["role"], "assistant");
    assert_eq!(choice["message"]["content"], want["choices"][0]["text"]);
    assert_eq!(choice["finish_reason"], "length");
    assert_eq!(found["usage"], want["usage"]);
    let content = choice["logprobs"]["content"].as_array().unwrap();
    let tokens = want["choices"][0]["logprobs"]["tokens"].as_array().unwrap();
    assert_eq!(content.len(), tokens.len());
    for (told, token) in content.iter().zip(tokens) {
        assert_eq!(told["token"], *token);
        assert_eq!(told["bytes"], json!(token.as_str().unwrap().as_bytes()));
        let top = told["top_logprobs"].as_array().unwrap();
        assert_eq!(top.len(), 2);
        assert_eq!(top[0]["logprob"], told["logprob"]);
        assert!(top[0]["logprob"].as_f64() >= top[1]["logprob"].as_f64());
    }
    // By default, an answer may fill the context.
    let mut free = conversation(json!({"ignore_eos": true}));
    free.as_object_mut().unwrap().remove("max_tokens");
    let usage = server.chat(free).ok()["usage"].clone();
    assert_eq!(usage["total_tokens"], 512);
    // Within the memory for answers: 128 bytes for each token and each of 20 alternatives.
    let template = scratch.path().join("chat.jinja");
    let template = template.to_str().unwrap();
    let small = Server::start(&["--answer-memory", "1MB", "--chat-template", template]);
    let mut free = conversation(json!({"ignore_eos": true, "logprobs": true, "top_logprobs": 20}));
    free.as_object_mut().unwrap().remove("max_tokens");
    assert_eq!(small.chat(free).ok()["usage"]["completion_tokens"], 250_000 / (4 + 21 * 128));
    let short = conversation(json!({"max_completion_tokens": 3}));
    assert_eq!(server.chat(short).ok()["usage"]["completion_tokens"], 3);
}

#[test]
fn the_parts_of_a_stream_make_the_answer() {
    let (server, _scratch) = server();
    let whole = server.chat(conversation(json!({"n": 2}))).ok();
    let streamed = conversation(json!({"n": 2, "stream": true,
        "stream_options": {"include_usage": true}}));
    let mut events = server.chat(streamed).events();
    assert_eq!(events.pop().unwrap()["usage"], whole["usage"]);
    assert!(events.iter().all(|event| event["object"] == "chat.completion.chunk"));
    for index in 0..2 {
        let choices = events.iter().map(|event| &event["choices"][0]);
        let choices: Vec<&Value> = choices.filter(|choice| choice["index"] == index).collect();
        assert_eq!(choices[0]["delta"], json!({"role": "assistant", "content": ""}));
        let text: String =
            choices.iter().filter_map(|choice| choice["delta"]["content"].as_str()).collect();
        assert_eq!(whole["choices"][index]["message"]["content"], text);
        assert_eq!(choices.last().unwrap()["finish_reason"], "length");
        let finished = choices.iter().filter(|choice| !choice["finish_reason"].is_null());
        assert_eq!(finished.count(), 1);
    }
}

/// What clients keep in their messages does not matter; reasoning reaches the template, and so do
/// the variables of the request and of the command line.
#[test]
fn messages_and_variables_reach_the_template() {
    let scratch = tempfile::tempdir().unwrap();
    let template = scratch.path().join("chat.jinja");
    let source = "{% if tools is not none %}{{ raise_exception('tools') }}{% endif %}\
        {% for m in messages %}{{ m.content }}{{ m.reasoning_content }}{{ m.opts }}{% endfor %}\
        {% if enable_thinking is defined %}[{{ enable_thinking }}]{% endif %}{{ tone }}\
        {{ reasoning_effort }}{% if add_generation_prompt %}!{% endif %}";
    std::fs::write(&template, source).unwrap();
    let template = template.to_str().unwrap();
    let variables = r#"{"tone": "dry", "enable_thinking": true}"#;
    let options = ["--chat-template", template, "--chat-template-kwargs", variables];
    let server = Server::start(&options);
    for (more, prompt) in [
        (json!({}), "abc[True]dry!"),
        (json!({"chat_template_kwargs": {"enable_thinking": false}}), "abc[False]dry!"),
        (json!({"chat_template_kwargs": {"tone": "x", "messages": []}}), "abc[True]x!"),
        (json!({"add_generation_prompt": false}), "abc[True]dry"),
        (json!({"reasoning_effort": "low"}), "abc[True]drylow!"),
    ] {
        let mut body = json!({"max_tokens": 2, "messages": [
            {"role": "user", "content": "a", "id": 7, "opts": {"visible": false}, "name": "n"},
            {"role": "assistant", "content": "b", "reasoning": "c", "annotations": []},
        ]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let raw = json!({"prompt": prompt, "max_tokens": 2, "add_special_tokens": false});
        let want = server.complete(raw).ok()["usage"]["prompt_tokens"].clone();
        assert_eq!(server.chat(body).ok()["usage"]["prompt_tokens"], want, "{more}");
    }
    let body = json!({"messages": [{"role": "user", "content": "a"}], "chat_template_kwargs": 5});
    let error = server.chat(body).json()["error"].clone();
    assert_eq!(
        (&error["param"], &error["code"]),
        (&json!("chat_template_kwargs"), &json!("invalid_type"))
    );
}

/// A template without end is the error of its request, and others are answered.
#[test]
fn a_template_without_end_stops_nobody() {
    let scratch = tempfile::tempdir().unwrap();
    let template = scratch.path().join("chat.jinja");
    let loops = ["a", "b", "c", "d"].map(|v| format!("{{% for {v} in range(99999) %}}")).concat();
    std::fs::write(&template, loops + &"{% endfor %}".repeat(4)).unwrap();
    let server = Server::start(&["--chat-template", template.to_str().unwrap()]);
    std::thread::scope(|scope| {
        let chats = [0; 4].map(|_| scope.spawn(|| server.chat(conversation(json!({})))));
        // Others are answered in the meantime.
        let mut answered = 0;
        while chats.iter().any(|chat| !chat.is_finished()) {
            server.assert_alive();
            answered += 1;
        }
        assert!(answered > 1, "{answered}");
        for reply in chats.map(|chat| chat.join().unwrap()) {
            assert_eq!(reply.status, 400);
            let error = reply.json()["error"]["message"].clone();
            assert!(error.as_str().unwrap().contains("too much work"), "{error}");
        }
    });
    server.assert_alive();
}

#[test]
fn an_error_of_the_template_is_reported() {
    let (server, _scratch) = server();
    let reply = server.chat(json!({"messages": [{"role": "assistant", "content": "x"}]}));
    assert_eq!(reply.status, 400);
    let error = &reply.json()["error"];
    assert_eq!(error["param"], "messages");
    assert!(error["message"].as_str().unwrap().contains("the user begins"), "{error}");
    // A model without a template has completions but no chat.
    let plain = Server::start(&[]);
    let reply = plain.chat(conversation(json!({})));
    assert_eq!((reply.status, &reply.json()["error"]["code"]), (400, &json!("no_chat_template")));
    plain.assert_alive();
}
