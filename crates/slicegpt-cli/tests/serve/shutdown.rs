//! Graceful shutdown: running requests are finished.

use std::io::Read;
use std::time::{Duration, Instant};

use serde_json::json;

use slicegpt_testkit::http::{receive, send};
use slicegpt_testkit::server::{MODEL, PROMPT, Server};

#[test]
fn running_requests_are_finished() {
    for signal in ["TERM", "INT"] {
        let mut server = Server::start(&[]);
        let body = json!({"model": MODEL, "prompt": PROMPT, "max_tokens": 400, "ignore_eos": true,
            "n": 64});
        let path = "/v1/completions";
        let running = send(&server.address, "POST", path, "", body.to_string().as_bytes());
        server.wait("slicegpt_sequences_running", |running| running == 64.0);
        server.signal(signal);
        // New requests are refused.
        let start = Instant::now();
        while server.get("/health").status == 200 {
            assert!(start.elapsed() < Duration::from_secs(20));
        }
        let refused = server.complete(json!({"prompt": "a"}));
        assert_eq!(refused.status, 503);
        assert_eq!(refused.json()["error"]["code"], "shutting_down");
        assert_eq!(receive(running).ok()["usage"]["completion_tokens"], 64 * 400);
        let status = server.child.wait().unwrap();
        assert_eq!(status.code(), Some(0), "{signal}");
        let mut said = String::new();
        server.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(said, "", "{signal}");
    }
}

#[test]
fn without_requests_it_ends_at_once() {
    let mut server = Server::start(&[]);
    // An idle connection does not delay the end.
    let _idle = std::net::TcpStream::connect(&server.address).unwrap();
    server.assert_alive();
    let start = Instant::now();
    server.signal("TERM");
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(20));
}
