//! The memory of answers is reserved before they are generated, until they have been sent.

use std::io::Read;
use std::net::TcpStream;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use slicegpt_testkit::http::{receive, send};
use slicegpt_testkit::server::{MODEL, Server};

const PATH: &str = "/v1/completions";

/// A request for `n` texts of 400 tokens with 20 alternatives each: 1 MB of memory per text.
fn told(n: usize) -> Value {
    let ids: Vec<u32> = (0..400).map(|i| 2 + (i * 37) % 2000).collect();
    json!({"model": MODEL, "prompt": vec![ids; n], "echo": true, "logprobs": 20, "max_tokens": 0})
}

#[test]
fn an_answer_that_needs_too_much_memory_is_refused() {
    let server = Server::start(&["--answer-memory", "3MB"]);
    let reply = server.post(PATH, &told(3));
    let error = reply.json()["error"].clone();
    assert_eq!((reply.status, &error["param"]), (400, &json!("logprobs")), "{error}");
    assert_eq!(error["code"], "answer_too_large");
    assert!(
        error["message"].as_str().unwrap().contains("4 MB of memory; this server has 3"),
        "{error}"
    );
    // This many texts need the same memory.
    let ids: Vec<u32> = (0..100).collect();
    let many = json!({"prompt": ids, "echo": true, "logprobs": 2, "max_tokens": 100, "n": 64});
    assert_eq!(server.complete(many).json()["error"]["param"], "logprobs");
    assert_eq!(server.metric("slicegpt_steps_total"), 0.0);
    assert_eq!(server.metric("slicegpt_prompt_tokens_total"), 0.0);
    // The default is enough for a full queue.
    let ample = Server::start(&[]);
    assert_eq!(ample.post(PATH, &told(320)).status, 400);
    for (server, n) in [(&server, 2), (&ample, 32)] {
        assert_eq!(server.post(PATH, &told(n)).ok()["choices"].as_array().unwrap().len(), n);
    }
    server.assert_alive();
}

/// Reads part of a response.
fn read_some(stream: &mut TcpStream, bytes: usize) -> Vec<u8> {
    let mut some = vec![0; bytes];
    stream.read_exact(&mut some).unwrap();
    some
}

#[test]
fn an_answer_keeps_its_memory_until_it_is_read() {
    let server = Server::start(&["--answer-memory", "5MB"]);
    let mut slow = send(&server.address, "POST", PATH, "", told(4).to_string().as_bytes());
    // It is complete and waits to be read.
    let head = read_some(&mut slow, 100);
    assert!(head.starts_with(b"HTTP/1.1 200"));
    server.wait("slicegpt_sequences_running", |running| running == 0.0);
    let reply = server.post(PATH, &told(4));
    assert_eq!((reply.status, &reply.json()["error"]["code"]), (429, &json!("queue_full")));
    let mut rest = Vec::new();
    slow.read_to_end(&mut rest).unwrap();
    assert!(rest.len() > 500_000 && rest.ends_with(b"}}"), "{}", rest.len());
    server.assert_alive();
    assert_eq!(server.post(PATH, &told(4)).status, 200);
}

#[test]
fn an_answer_that_is_not_read_in_time_ends() {
    let server = Server::start(&["--request-timeout", "3"]);
    let mut slow = send(&server.address, "POST", PATH, "", told(16).to_string().as_bytes());
    let start = Instant::now();
    let mut found = 0;
    // The client keeps reading, but would need minutes for the whole response.
    let mut some = [0; 4096];
    loop {
        match slow.read(&mut some) {
            Ok(0) | Err(_) => break,
            Ok(more) => found += more,
        }
        assert!(start.elapsed() < Duration::from_secs(60));
        sleep(Duration::from_millis(50));
    }
    assert!(found > 4096 && found < 1_500_000, "{found} bytes were read");
    server.wait("slicegpt_request_seconds_count{endpoint=\"/v1/completions\"}", |n| n == 1.0);
    // A client that reads gets the whole response.
    let all = receive(send(&server.address, "POST", PATH, "", told(16).to_string().as_bytes()));
    assert!(all.body.len() > 2_000_000, "{}", all.body.len());
}
