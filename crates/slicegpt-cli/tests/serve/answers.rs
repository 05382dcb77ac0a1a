//! Completions: the text of `slicegpt generate`, for every form of request.

use serde_json::{Value, json};

use slicegpt_testkit::Cli;
use slicegpt_testkit::server::{MODEL, PROMPT, Server, directory};

/// The output of `slicegpt generate`.
fn generated(name: &str, options: &[&str]) -> Value {
    let command = Cli::new("generate").arg(directory(name)).args(["--prompt", PROMPT]);
    command.args(options).json()
}

#[test]
fn greedy_text_is_that_of_generate() {
    for name in [MODEL, "ts-phi", "ts-opt"] {
        let server = Server::of(name, &[]);
        let want = generated(name, &["-n", "48"]);
        let body = json!({"model": name, "prompt": PROMPT, "max_tokens": 48, "temperature": 0});
        let found = server.post("/v1/completions", &body).ok();
        assert_eq!(found["choices"][0]["text"], want["text"], "{name}");
        assert_eq!(found["choices"][0]["finish_reason"], want["finish_reason"], "{name}");
        assert_eq!(found["usage"]["prompt_tokens"], want["prompt_tokens"], "{name}");
        assert_eq!(found["usage"]["completion_tokens"], want["generated_tokens"], "{name}");
        assert_eq!(found["object"], "text_completion");
        assert!(found["id"].as_str().unwrap().starts_with("cmpl-"));
    }
}

#[test]
fn a_prompt_is_text_or_tokens_or_a_list() {
    let server = Server::start(&[]);
    let ask = |prompt: Value| {
        let body = json!({"prompt": prompt, "max_tokens": 12, "temperature": 0, "logprobs": 0,
            "echo": true});
        server.complete(body).ok()
    };
    let one = ask(json!(PROMPT));
    let choice = &one["choices"][0];
    let text = choice["text"].as_str().unwrap();
    assert!(text.starts_with(PROMPT) && text.len() > PROMPT.len(), "{text}");
    // The token ids of the same text, from `generate`.
    let vocabulary = slicegpt_corpus::Vocabulary::open(directory(MODEL).as_ref()).unwrap();
    let ids = vocabulary.encode_prompt(PROMPT).unwrap();
    let tokens = ask(json!(ids));
    assert_eq!(tokens["choices"][0]["text"], *text);
    // The token that the tokenizer adds in front may also be given explicitly.
    let written = ask(json!(format!("<|begin_of_text|>{PROMPT}")));
    let written = &written["choices"][0];
    for list in ["tokens", "token_logprobs", "top_logprobs"] {
        assert_eq!(written["logprobs"][list], choice["logprobs"][list], "{list}");
    }
    assert_eq!(written["text"], format!("<|begin_of_text|>{text}"));
    // Then it has an offset in the text.
    let offsets = |choice: &Value| -> Vec<u64> {
        let offsets = choice["logprobs"]["text_offset"].as_array().unwrap();
        offsets.iter().map(|offset| offset.as_u64().unwrap()).collect()
    };
    let name = "<|begin_of_text|>".len() as u64;
    let later: Vec<u64> = offsets(choice)[1..].iter().map(|offset| offset + name).collect();
    assert_eq!(offsets(written)[1..], later);
    assert_eq!(offsets(written)[0], 0);
    let alone = json!({"prompt": PROMPT, "max_tokens": 1, "add_special_tokens": false});
    assert_eq!(server.complete(alone).ok()["usage"]["prompt_tokens"], ids.len() - 1);
    for prompt in [json!([PROMPT, "A dog", PROMPT]), json!([ids, "A dog", ids])] {
        let several = ask(prompt);
        let choices = several["choices"].as_array().unwrap();
        assert_eq!(choices.len(), 3);
        for (index, choice) in choices.iter().enumerate() {
            assert_eq!(choice["index"], index);
        }
        assert_eq!(choices[0]["text"], *text);
        assert_eq!(choices[2]["text"], *text);
        assert!(choices[1]["text"].as_str().unwrap().starts_with("A dog"));
        let usage = &several["usage"];
        let prompt_tokens = 2 * ids.len() + vocabulary.encode_prompt("A dog").unwrap().len();
        assert_eq!(usage["prompt_tokens"], prompt_tokens);
        assert_eq!(usage["completion_tokens"], 36);
        assert_eq!(usage["total_tokens"], prompt_tokens + 36);
    }
}

#[test]
fn sampling_is_that_of_generate_and_a_seed_fixes_the_text() {
    let server = Server::start(&[]);
    let options =
        ["-n", "24", "--temperature", "0.9", "--top-k", "40", "--top-p", "0.95", "--seed", "7"];
    let want = generated(MODEL, &options);
    let body = json!({"prompt": PROMPT, "max_tokens": 24, "temperature": 0.9, "top_k": 40,
        "top_p": 0.95, "seed": 7, "n": 3});
    let found = server.complete(body.clone()).ok();
    let choices = found["choices"].as_array().unwrap().clone();
    assert_eq!(choices.len(), 3);
    assert_eq!(choices[0]["text"], want["text"]);
    assert_ne!(choices[0]["text"], choices[1]["text"]);
    assert_eq!(server.complete(body).ok()["choices"], json!(choices));
    // Without a seed, texts differ.
    let free = || {
        let body = json!({"prompt": PROMPT, "max_tokens": 24});
        server.complete(body).ok()["choices"][0]["text"].clone()
    };
    assert_ne!(free(), free());
}

#[test]
fn a_text_ends_where_it_should() {
    let server = Server::start(&[]);
    let ask = |more: Value| {
        let mut body = json!({"prompt": PROMPT, "max_tokens": 48, "temperature": 0});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        server.complete(body).ok()["choices"][0].clone()
    };
    let all = ask(json!({}));
    let all = all["text"].as_str().unwrap();
    for stop in [json!("play"), json!(["nowhere", "play"])] {
        let stopped = ask(json!({"stop": stop}));
        assert_eq!(stopped["finish_reason"], "stop");
        let text = stopped["text"].as_str().unwrap();
        assert_eq!(text, all.split("play").next().unwrap());
    }
    let short = ask(json!({"max_tokens": 2}));
    assert_eq!(short["finish_reason"], "length");
    assert!(all.starts_with(short["text"].as_str().unwrap()));
    let none = ask(json!({"max_tokens": 0}));
    assert_eq!((&none["text"], &none["finish_reason"]), (&json!(""), &json!("length")));
    let echoed = ask(json!({"max_tokens": 0, "echo": true}));
    assert_eq!(echoed["text"], PROMPT);
    // OpenAI's default number of tokens.
    let body = json!({"prompt": PROMPT, "ignore_eos": true});
    assert_eq!(server.complete(body).ok()["usage"]["completion_tokens"], 16);
}
