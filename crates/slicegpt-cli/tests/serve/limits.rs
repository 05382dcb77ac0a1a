//! Resource limits: bodies, queue, KV cache memory, time, slow readers.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;

use slicegpt_testkit::Cli;
use slicegpt_testkit::http::{receive, send};
use slicegpt_testkit::server::{MODEL, PROMPT, Server, directory};

const PATH: &str = "/v1/completions";

/// A request for long texts.
fn long(n: usize) -> serde_json::Value {
    json!({"model": MODEL, "prompt": PROMPT, "max_tokens": 480, "ignore_eos": true, "n": n})
}

#[test]
fn a_body_that_is_too_large_is_refused() {
    let server = Server::start(&["--max-body", "10kB"]);
    let body = json!({"model": MODEL, "prompt": "a".repeat(20_000)});
    let reply = server.post(PATH, &body);
    assert_eq!((reply.status, &reply.json()["error"]["code"]), (413, &json!("request_too_large")));
    // With chunks, the length is not known in advance.
    let mut stream = TcpStream::connect(&server.address).unwrap();
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    for _ in 0..20 {
        stream.write_all(format!("400\r\n{}\r\n", "a".repeat(1024)).as_bytes()).unwrap();
    }
    stream.write_all(b"0\r\n\r\n").unwrap();
    assert_eq!(receive(stream).status, 413);
    server.assert_alive();
}

#[test]
fn a_full_queue_refuses_requests() {
    let server = Server::start(&["--max-sequences", "2", "--max-queue", "2"]);
    let stream = send(&server.address, "POST", PATH, "", long(4).to_string().as_bytes());
    server.wait("slicegpt_sequences_waiting", |waiting| waiting == 2.0);
    assert_eq!(server.metric("slicegpt_sequences_running"), 2.0);
    let reply = server.complete(json!({"prompt": "a"}));
    assert_eq!((reply.status, &reply.json()["error"]["code"]), (429, &json!("queue_full")));
    assert_eq!(reply.header("retry-after"), Some("1"));
    let all = receive(stream).ok();
    assert_eq!(all["usage"]["completion_tokens"], 4 * 480);
    // More texts than the queue can ever hold.
    let reply = server.complete(json!({"prompt": "a", "n": 5}));
    assert_eq!(reply.status, 400, "{}", reply.body);
    server.assert_alive();
}

/// The KV cache of this model takes 2 KiB per token: 4 layers, 2 key/value heads of 32, float32.
#[test]
fn caches_stay_within_their_memory() {
    let server = Server::start(&["--cache-memory", "2560KiB"]);
    let stream = send(&server.address, "POST", PATH, "", long(5).to_string().as_bytes());
    // 512 tokens each, so two and a half texts fit. They are taken up one after the other.
    server.wait("slicegpt_sequences_running", |running| running == 2.0);
    assert_eq!(server.metric("slicegpt_cache_bytes"), 2.0 * 512.0 * 2048.0);
    assert_eq!(receive(stream).ok()["usage"]["completion_tokens"], 5 * 480);

    // The memory of one text is bounded too.
    let small = Server::start(&["--cache-memory", "256KiB"]);
    assert_eq!(small.get("/v1/models").ok()["data"][0]["max_model_len"], 128);
    let reply = small.complete(json!({"prompt": PROMPT, "max_tokens": 128}));
    assert_eq!(reply.json()["error"]["code"], "context_length_exceeded");
    small.assert_alive();
}

#[test]
fn requests_time_out() {
    let server = Server::start(&["--request-timeout", "1"]);
    let reply = server.post(PATH, &long(64));
    assert_eq!((reply.status, &reply.json()["error"]["code"]), (504, &json!("timeout")));
    // A client that is already reading gets the error in the stream.
    let mut body = long(64);
    body["stream"] = json!(true);
    let reply = server.post(PATH, &body);
    let events = reply.events();
    assert_eq!(events.last().unwrap()["error"]["code"], "timeout");
    // A body that never arrives.
    let mut stream = TcpStream::connect(&server.address).unwrap();
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 9\r\n\r\n{{"
    );
    stream.write_all(head.as_bytes()).unwrap();
    assert_eq!(receive(stream).status, 408);
    server.wait("slicegpt_sequences_running", |running| running == 0.0);
    server.assert_alive();
}

#[test]
fn a_request_is_cancelled_when_the_client_leaves() {
    let server = Server::start(&[]);
    for stream in [false, true] {
        let mut body = long(32);
        body["stream"] = json!(stream);
        let before = server.metric("slicegpt_sequences_ended_total{reason=\"gone\"}");
        let connection = send(&server.address, "POST", PATH, "", body.to_string().as_bytes());
        server.wait("slicegpt_sequences_running", |running| running == 32.0);
        drop(connection);
        server.wait("slicegpt_sequences_running", |running| running == 0.0);
        let gone = server.metric("slicegpt_sequences_ended_total{reason=\"gone\"}");
        assert_eq!(gone - before, 32.0, "stream: {stream}");
    }
    assert_eq!(server.metric("slicegpt_sequences_ended_total{reason=\"length\"}"), 0.0);
    server.assert_alive();
}

#[test]
fn a_stalled_reader_is_dropped_and_delays_no_one() {
    let server = Server::start(&["--stall-timeout", "2"]);
    let mut body = long(8);
    body["stream"] = json!(true);
    // Megabytes: more than the buffers of a system.
    body["logprobs"] = json!(20);
    let mut slow = send(&server.address, "POST", PATH, "", body.to_string().as_bytes());
    server.wait("slicegpt_generated_tokens_total", |tokens| tokens > 8.0);
    // Other requests are answered in the meantime.
    let lone = Server::start(&[]);
    let ask = json!({"prompt": PROMPT, "max_tokens": 32, "temperature": 0});
    let want = lone.complete(ask.clone()).ok()["choices"].clone();
    let mut answered = 0_u32;
    while server.metric("slicegpt_sequences_running") > 0.0 {
        assert_eq!(server.complete(ask.clone()).ok()["choices"], want);
        answered += 1;
    }
    assert!(answered > 3, "{answered}");
    assert_eq!(
        server.metric("slicegpt_sequences_ended_total{reason=\"length\"}"),
        f64::from(answered)
    );
    let given_up = ["stalled", "gone"].map(|reason| {
        server.metric(&format!("slicegpt_sequences_ended_total{{reason=\"{reason}\"}}"))
    });
    assert_eq!(given_up.iter().sum::<f64>(), 8.0);
    // Its connection is closed too.
    slow.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut rest = Vec::new();
    let read = slow.read_to_end(&mut rest);
    assert!(
        !rest.ends_with(b"0\r\n\r\n") || String::from_utf8_lossy(&rest).contains("error"),
        "{read:?}"
    );
    server.assert_alive();
}

#[test]
fn invalid_options_are_refused() {
    let server = Server::start(&[]);
    let port = server.address.split(':').nth(1).unwrap();
    let model = directory(MODEL);
    for (options, words) in [
        (vec!["--port", port], "in use"),
        (vec!["--host", "203.0.113.7", "--port", "0"], "no such address"),
        (vec!["--host", "no such name", "--port", "0"], "--host"),
        (vec!["--port", "65536"], "--port"),
        (vec!["--port", "0", "--api-key", ""], "--api-key"),
        (vec!["--port", "0", "--api-key", "secret\n"], "no client can send it"),
        (vec!["--port", "0", "--model-name", ""], "--model-name"),
        (vec!["--port", "0", "--cache-memory", "1kB"], "--cache-memory"),
        (vec!["--port", "0", "--body-memory", "1MB"], "--body-memory"),
        (vec!["--port", "0", "--reasoning-format", "x"], "--reasoning-format"),
        (vec!["--port", "0", "--max-sequences", "0"], "--max-sequences"),
        (vec!["--port", "0", "--chat-template", "nowhere.jinja"], "nowhere.jinja"),
    ] {
        Cli::new("serve").arg(&model).args(&options).refuse(&[words]);
    }
}
