//! A server of its own for each test.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use slicegpt_testkit::fixtures;

use crate::client::{Reply, receive, send};

/// What every fixture model has learned to continue.
pub const PROMPT: &str = "Once upon a time, there was a little";

/// The name of the fixture model that is served.
pub const MODEL: &str = "ts-llama3-gqa";

/// Its directory.
pub fn directory(name: &str) -> String {
    fixtures().join("models").join(name).to_str().unwrap().to_string()
}

/// A server that is there until it is dropped.
pub struct Server {
    pub child: Child,
    /// Host and port.
    pub address: String,
}

impl Server {
    /// Serves a fixture model with more `options`.
    pub fn start(options: &[&str]) -> Self {
        Self::of(MODEL, options)
    }

    /// Serves fixture model `name` with more `options`.
    pub fn of(name: &str, options: &[&str]) -> Self {
        let mut child = Command::new(assert_cmd::cargo::cargo_bin("slicegpt"))
            .args(["serve", &directory(name), "--port", "0", "--device", &device()])
            .args(options)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.split("http://").nth(1).and_then(|rest| rest.strip_suffix("/v1\n"));
        let address = address.unwrap_or_else(|| panic!("no address in {line:?}")).to_string();
        Self { child, address }
    }

    pub fn get(&self, path: &str) -> Reply {
        receive(send(&self.address, "GET", path, "", b""))
    }

    pub fn post(&self, path: &str, body: &Value) -> Reply {
        receive(send(&self.address, "POST", path, "", body.to_string().as_bytes()))
    }

    /// Asks for a completion; the model need not be named.
    pub fn complete(&self, mut body: Value) -> Reply {
        body["model"] = MODEL.into();
        self.post("/v1/completions", &body)
    }

    /// Asks for the next turn of a conversation; the model need not be named.
    pub fn chat(&self, mut body: Value) -> Reply {
        body["model"] = MODEL.into();
        self.post("/v1/chat/completions", &body)
    }

    /// A number out of /metrics, 0 where it is not there yet.
    pub fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").body;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }

    /// Waits until `name` in /metrics is as it should be, but not for ever.
    pub fn wait(&self, name: &str, done: impl Fn(f64) -> bool) {
        let start = Instant::now();
        while !done(self.metric(name)) {
            assert!(start.elapsed() < Duration::from_secs(60), "{}", self.get("/metrics").body);
            sleep(Duration::from_millis(5));
        }
    }

    /// It answers as if nothing had happened.
    pub fn assert_alive(&self) {
        let body = serde_json::json!({"prompt": PROMPT, "max_tokens": 4, "temperature": 0});
        let reply = self.complete(body).ok();
        assert!(!reply["choices"][0]["text"].as_str().unwrap().is_empty());
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The device under test.
fn device() -> String {
    std::env::var("SLICEGPT_DEVICE").unwrap_or_else(|_| "cpu".into())
}
