//! A server on the device that `SLICEGPT_DEVICE` names: texts generated in one batch equal those
//! of `generate` on that device. `serve/` tests limits and the protocol on the CPU.

#![cfg(unix)]

use serde_json::json;
use slicegpt_testkit::Cli;
use slicegpt_testkit::server::{MODEL, PROMPT, Server, directory};

#[test]
fn batched_texts_are_those_of_generate() {
    let prompts = [PROMPT, "One day, Tim and Lily went to the"];
    let server = Server::start(&[]);
    let asked = json!({
        "model": MODEL, "prompt": prompts, "max_tokens": 24, "temperature": 0, "logprobs": 2,
    });
    let answer = server.complete(asked).ok();
    for (choice, prompt) in answer["choices"].as_array().unwrap().iter().zip(prompts) {
        let generate = Cli::new("generate --max-tokens 24 --temperature 0").arg(directory(MODEL));
        let alone = generate.args(["--prompt", prompt]).json();
        assert_eq!(choice["text"], alone["text"], "{prompt}");
        let likely = choice["logprobs"]["token_logprobs"].as_array().unwrap();
        assert_eq!(likely.len(), 24);
        assert!(likely.iter().all(|log| log.as_f64().unwrap() <= 0.0));
    }
    server.assert_alive();
}
