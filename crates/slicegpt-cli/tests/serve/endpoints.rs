//! The other endpoints: models, health, metrics, authorization.

use std::io::{BufRead, BufReader};

use serde_json::json;

use slicegpt_testkit::Cli;
use slicegpt_testkit::http::{receive, send};
use slicegpt_testkit::server::{MODEL, Server, directory};

#[test]
fn models_health_and_metrics() {
    let server = Server::start(&[]);
    let models = server.get("/v1/models").ok();
    assert_eq!(models["object"], "list");
    assert_eq!(models["data"].as_array().unwrap().len(), 1);
    let model = server.get(&format!("/v1/models/{MODEL}")).ok();
    assert_eq!(model, models["data"][0]);
    for (key, value) in
        [("id", json!(MODEL)), ("object", json!("model")), ("max_model_len", json!(512))]
    {
        assert_eq!(model[key], value, "{key}");
    }
    assert_eq!(server.get("/v1/models/other").status, 404);
    assert_eq!(server.get("/health").ok()["status"], "ok");

    server.complete(json!({"prompt": "a", "max_tokens": 3, "ignore_eos": true})).ok();
    let completions = "slicegpt_request_seconds_count{endpoint=\"/v1/completions\"}";
    server.wait(completions, |count| count == 1.0);
    server.wait("slicegpt_sequences_running", |running| running == 0.0);
    let metrics = server.get("/metrics");
    assert!(metrics.header("content-type").unwrap().starts_with("text/plain"));
    for line in [
        "slicegpt_requests_total{endpoint=\"/v1/models\",status=\"200\"} 1",
        "slicegpt_requests_total{endpoint=\"/v1/models/{*id}\",status=\"404\"} 1",
        "slicegpt_requests_total{endpoint=\"/v1/completions\",status=\"200\"} 1",
        "slicegpt_request_seconds_count{endpoint=\"/v1/completions\"} 1",
        "slicegpt_sequences_ended_total{reason=\"length\"} 1",
        "slicegpt_sequences_running 0",
        "slicegpt_sequences_waiting 0",
        "slicegpt_generated_tokens_total 3",
        "slicegpt_prompt_tokens_total 2",
        "slicegpt_cache_bytes 0",
    ] {
        assert!(metrics.body.lines().any(|found| found == line), "{line}: {}", metrics.body);
    }
}

#[test]
fn a_model_may_have_another_name_and_a_key() {
    let server = Server::start(&["--model-name", "team/small", "--api-key", "secret"]);
    let get = |path: &str, headers: &str| receive(send(&server.address, "GET", path, headers, b""));
    for headers in ["", "Authorization: secret\r\n", "Authorization: Bearer secre\r\n"] {
        let reply = get("/v1/models", headers);
        assert_eq!(reply.status, 401, "{headers}");
        assert_eq!(reply.json()["error"]["code"], "invalid_api_key");
        assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
    }
    let key = "Authorization: Bearer secret\r\n";
    assert_eq!(get("/v1/models", key).ok()["data"][0]["id"], "team/small");
    assert_eq!(get("/v1/models/team/small", key).ok()["id"], "team/small");
    // Monitoring needs no API key.
    assert_eq!(get("/health", "").status, 200);
    assert_eq!(get("/metrics", "").status, 200);
}

/// Browsers ask first, without the key, whether a page of another origin may use the server.
#[test]
fn pages_of_allowed_origins_may_use_the_server() {
    let page = "Origin: http://localhost:3000\r\n";
    let ask = "Access-Control-Request-Method: POST\r\n\
               Access-Control-Request-Headers: authorization,content-type\r\n";
    let asked = |server: &Server, page: &str| {
        let headers = format!("{page}{ask}");
        receive(send(&server.address, "OPTIONS", "/v1/chat/completions", &headers, b""))
    };
    let (allowed, key) = ("access-control-allow-origin", "Authorization: Bearer secret\r\n");
    let options = ["--api-key", "secret", "--allow-origin", "http://localhost:3000"];
    let server = Server::start(&options);
    let reply = asked(&server, page);
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header(allowed), Some("http://localhost:3000"));
    assert_eq!(reply.header("access-control-allow-headers"), Some("authorization,content-type"));
    assert!(reply.header("access-control-allow-methods").unwrap().contains("POST"));
    // Errors may be read too, but for the pages of others.
    for (headers, status) in [(page.to_string(), 401), (format!("{page}{key}"), 200)] {
        let reply = receive(send(&server.address, "GET", "/v1/models", &headers, b""));
        assert_eq!((reply.status, reply.header(allowed)), (status, Some("http://localhost:3000")));
    }
    let other = "Origin: http://evil.example\r\n";
    assert_eq!(asked(&server, other).header(allowed), None);
    let reply = receive(send(&server.address, "GET", "/v1/models", other, b""));
    assert_eq!(reply.header(allowed), None);

    let everyone = Server::start(&["--allow-origin", "*"]);
    assert_eq!(asked(&everyone, other).header(allowed), Some("*"));
    let nobody = Server::start(&[]);
    assert_eq!((asked(&nobody, page).status, asked(&nobody, page).header(allowed)), (405, None));
}

/// The key may be in the environment, where other users of the machine do not see it.
#[test]
fn the_key_may_be_in_the_environment() {
    let serve =
        |key: &str| Cli::new("serve --port 0").arg(directory(MODEL)).env("SLICEGPT_API_KEY", key);
    serve("").refuse(&["--api-key"]);
    let mut child = serve("secret").start();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.split("http://").nth(1).unwrap().trim_end().trim_end_matches("/v1");
    let server = Server { child, address: address.to_string() };
    let get = |headers: &str| receive(send(&server.address, "GET", "/v1/models", headers, b""));
    assert_eq!(get("Authorization: Bearer secre\r\n").status, 401);
    assert_eq!(get("Authorization: Bearer secret2\r\n").status, 401);
    assert_eq!(get("Authorization: Bearer secret\r\n").status, 200);
}

/// Fields that change nothing are accepted, whatever they hold.
#[test]
fn harmless_fields_are_accepted() {
    let server = Server::start(&[]);
    let plain = json!({"prompt": "a", "max_tokens": 2, "temperature": 0});
    let mut body = plain.clone();
    for (name, value) in [
        ("user", json!("me")),
        ("metadata", json!({"a": [1]})),
        ("store", json!(true)),
        ("service_tier", json!("auto")),
        ("safety_identifier", json!("x")),
        ("prompt_cache_retention", json!("24h")),
        ("chat_id", json!(7)),
        ("cache_prompt", json!(true)),
        ("tools", json!(null)),
        // Settings of other servers, with the values with which they change nothing there.
        ("min_tokens", json!(0)),
        ("stop_token_ids", json!([])),
        ("skip_special_tokens", json!(true)),
        ("use_beam_search", json!(false)),
        ("length_penalty", json!(1.0)),
        ("typical_p", json!(1)),
        ("options", json!({})),
        ("response_format", json!({"type": "text"})),
        ("continue_final_message", json!(false)),
    ] {
        body[name] = value;
    }
    let choices = server.complete(plain.clone()).ok()["choices"].clone();
    assert_eq!(server.complete(body).ok()["choices"], choices);
    for (name, value) in [
        ("min_tokens", json!(5)),
        ("stop_token_ids", json!([5])),
        ("skip_special_tokens", json!(false)),
        ("typical_p", json!(0.5)),
        ("length_penalty", json!("1")),
    ] {
        let mut body = plain.clone();
        body[name] = value;
        let reply = server.complete(body);
        assert_eq!((reply.status, &reply.json()["error"]["param"]), (400, &json!(name)));
    }
}

/// An error does not repeat a name of any length.
#[test]
fn long_names_are_cut_in_errors() {
    let server = Server::start(&[]);
    let reply = server.complete(json!({"prompt": "a", ("k".repeat(500_000)): 1}));
    assert_eq!(reply.status, 400);
    let error = &reply.json()["error"];
    assert!(error["param"].as_str().unwrap().starts_with("kkk"));
    assert!(reply.body.len() < 3000, "{}", reply.body.len());
}

/// A client that reads only after it has written everything must get the response, not a broken
/// connection.
#[test]
fn a_refused_large_body_still_gets_a_response() {
    let server = Server::start(&["--api-key", "secret"]);
    let body = vec![b' '; 20 << 20];
    for (method, path, headers, status) in [
        ("POST", "/v1/completions", "", 401),
        ("POST", "/v1/nowhere", "", 404),
        ("PUT", "/v1/completions", "Authorization: Bearer secret\r\n", 405),
        ("POST", "/health", "", 405),
    ] {
        let reply = receive(send(&server.address, method, path, headers, &body));
        assert_eq!(reply.status, status, "{method} {path}");
        assert!(reply.json()["error"]["message"].is_string());
    }
}
