//! Clients that say nothing, send slowly or do not read: what they hold goes to others.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use slicegpt_testkit::http::{receive, send};
use slicegpt_testkit::server::{MODEL, PROMPT, Server};

const PATH: &str = "/v1/completions";

/// The longest time in which a request is answered beside such clients.
const SOON: Duration = Duration::from_secs(15);

/// A stream of `n` texts that is larger than all buffers.
fn long_stream(n: usize) -> Value {
    json!({"model": MODEL, "prompt": PROMPT, "max_tokens": 400, "ignore_eos": true, "n": n,
        "logprobs": 20, "stream": true, "temperature": 0})
}

/// Sends a request whose response nobody reads as yet.
fn unread(server: &Server, body: &Value) -> TcpStream {
    send(&server.address, "POST", PATH, "", body.to_string().as_bytes())
}

fn assert_answered_soon(server: &Server) {
    let start = Instant::now();
    let reply = server.complete(json!({"prompt": "a", "max_tokens": 2}));
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
}

/// The text of completion `index` of a stream, and its tokens.
fn text(events: &[Value], index: usize) -> (String, usize) {
    let choices = events.iter().flat_map(|event| event["choices"].as_array().unwrap());
    let choices = choices.filter(|choice| choice["index"] == index);
    let tokens = |choice: &Value| choice["logprobs"]["tokens"].as_array().map_or(0, Vec::len);
    choices.fold((String::new(), 0), |(text, count), choice| {
        (text + choice["text"].as_str().unwrap(), count + tokens(choice))
    })
}

/// Sequences whose clients do not read give their places in the batch to others, and go on where
/// they were once the clients read.
#[test]
fn places_go_to_others_until_the_client_reads() {
    let server = Server::start(&["--max-sequences", "4", "--stall-timeout", "120"]);
    let want = receive(unread(&Server::start(&[]), &long_stream(1))).events();
    let (want, tokens) = text(&want, 0);
    assert_eq!(tokens, 400);
    let slow = [0; 2].map(|_| unread(&server, &long_stream(4)));
    server.wait("slicegpt_sequences_waiting", |waiting| waiting == 4.0);
    for _ in 0..3 {
        assert_answered_soon(&server);
    }
    for stream in slow {
        let events = receive(stream).events();
        for index in 0..4 {
            let (found, tokens) = text(&events, index);
            assert_eq!(tokens, 400);
            assert_eq!(found, want, "{index}");
        }
    }
    assert_eq!(server.metric("slicegpt_sequences_ended_total{reason=\"stalled\"}"), 0.0);
    server.assert_alive();
}

/// KV memory and answer memory go to others too.
#[test]
fn memory_goes_to_others() {
    // Room for one long text; and for the answers of one stream.
    for (option, size) in [("--cache-memory", "1MiB"), ("--answer-memory", "5MB")] {
        let server = Server::start(&[option, size, "--stall-timeout", "120"]);
        let _slow = unread(&server, &long_stream(4));
        server.wait("slicegpt_generated_tokens_total", |tokens| tokens > 8.0);
        let start = Instant::now();
        let mut body = long_stream(1);
        body["stream"] = json!(false);
        if option == "--answer-memory" {
            body["n"] = json!(4);
        }
        // At first it is not yet known that the client does not read.
        let mut reply = server.post(PATH, &body);
        while reply.status == 429 && start.elapsed() < SOON {
            reply = server.post(PATH, &body);
        }
        assert_eq!(reply.status, 200, "{option}: {}", reply.body);
        assert!(start.elapsed() < 2 * SOON, "{option}: {:?}", start.elapsed());
        server.assert_alive();
    }
}

/// Where the queue is full of sequences that nobody reads, the longest stalled request is dropped.
#[test]
fn a_full_queue_of_unread_answers_gives_way() {
    let options = ["--max-sequences", "2", "--max-queue", "2", "--stall-timeout", "120"];
    let server = Server::start(&options);
    let slow = unread(&server, &long_stream(4));
    server.wait("slicegpt_generated_tokens_total", |tokens| tokens > 8.0);
    let start = Instant::now();
    while server.complete(json!({"prompt": "a", "max_tokens": 2})).status != 200 {
        assert!(start.elapsed() < SOON);
    }
    assert_eq!(server.metric("slicegpt_sequences_ended_total{reason=\"stalled\"}"), 4.0);
    // Its connection was closed.
    let mut rest = Vec::new();
    let _ = (&slow).read_to_end(&mut rest);
    assert!(!rest.ends_with(b"0\r\n\r\n"));
    server.assert_alive();
}

/// Connections that say nothing make room for others, and end soon.
#[test]
fn silent_connections_make_room() {
    let server = Server::start(&["--max-connections", "8"]);
    let start = Instant::now();
    let silent: Vec<_> = (0..20).map(|_| TcpStream::connect(&server.address).unwrap()).collect();
    assert_answered_soon(&server);
    for mut stream in silent {
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        // Closed, or reset.
        assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0);
    }
    assert!(start.elapsed() < 2 * SOON, "{:?}", start.elapsed());
    server.assert_alive();
}

/// A body that is announced and sent in part.
fn hold(server: &Server, length: usize, sent: usize) -> TcpStream {
    let mut stream = TcpStream::connect(&server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&vec![b' '; sent]).unwrap();
    stream
}

#[test]
fn bodies_have_a_bound_together() {
    let options = ["--max-body", "1MB", "--body-memory", "2MB", "--stall-timeout", "5"];
    let server = Server::start(&options);
    let held = [0; 2].map(|_| hold(&server, 900_000, 890_000));
    // Long enough for the server to have read them.
    std::thread::sleep(Duration::from_secs(1));
    let reply = receive(hold(&server, 900_000, 900_000));
    assert_eq!((reply.status, &reply.json()["error"]["code"]), (429, &json!("queue_full")));
    // Short requests are answered all the same.
    assert_answered_soon(&server);
    // Who sends nothing more is given up, and then there is room again.
    for stream in held {
        assert_eq!(receive(stream).status, 408);
    }
    assert_eq!(receive(hold(&server, 900_000, 900_000)).status, 400);
    server.assert_alive();
}

#[test]
fn heads_have_a_bound() {
    let server = Server::start(&[]);
    let long = format!("X-Long: {}\r\n", "a".repeat(1_000_000));
    let many: String = (0..200).map(|i| format!("X-{i}: a\r\n")).collect();
    for headers in [long, many] {
        let mut stream = TcpStream::connect(&server.address).unwrap();
        // The server may close the connection before it has read all.
        let _ = stream.write_all(format!("GET /health HTTP/1.1\r\n{headers}\r\n").as_bytes());
        let mut reply = Vec::new();
        let _ = stream.read_to_end(&mut reply);
        let reply = String::from_utf8_lossy(&reply);
        assert!(reply.is_empty() || reply.starts_with("HTTP/1.1 431"), "{reply}");
    }
    server.assert_alive();
}
