//! [`Server`]: `slicegpt serve` for one test.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::http::{Reply, receive, send};
use crate::{Cli, device_name, fixtures};

/// The beginning of a text that every trained model of the fixtures can continue.
pub const PROMPT: &str = "Once upon a time, there was a little";

/// The name of the model that is served.
pub const MODEL: &str = "ts-llama3-gqa";

/// The directory of trained model `name`.
pub fn directory(name: &str) -> String {
    fixtures().join("models").join(name).to_string_lossy().into_owned()
}

/// A running server; dropping it ends the process.
pub struct Server {
    /// Its process. Standard output is read up to the line with the address.
    pub child: Child,
    /// Host and port.
    pub address: String,
}

impl Server {
    /// Serves [`MODEL`] with more `options`.
    ///
    /// # Panics
    ///
    /// As [`Server::of`].
    pub fn start(options: &[&str]) -> Self {
        Self::of(MODEL, options)
    }

    /// Serves trained model `name` with more `options`, on the device under test.
    ///
    /// # Panics
    ///
    /// If the server does not start.
    pub fn of(name: &str, options: &[&str]) -> Self {
        let command = Cli::new("serve --port 0").arg(directory(name));
        let mut child = command.args(["--device", &device_name()]).args(options).start();
        let mut line = String::new();
        let stdout = child.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let address = line.split("http://").nth(1).and_then(|rest| rest.strip_suffix("/v1\n"));
        let address = address.unwrap_or_else(|| panic!("no address in {line:?}")).to_string();
        Self { child, address }
    }

    /// Sends a GET request and reads the reply.
    pub fn get(&self, path: &str) -> Reply {
        receive(send(&self.address, "GET", path, "", b""))
    }

    /// Sends a POST request with a JSON body and reads the reply.
    pub fn post(&self, path: &str, body: &Value) -> Reply {
        receive(send(&self.address, "POST", path, "", body.to_string().as_bytes()))
    }

    /// Asks [`MODEL`] for a completion; `model` is added to `body`.
    pub fn complete(&self, mut body: Value) -> Reply {
        body["model"] = MODEL.into();
        self.post("/v1/completions", &body)
    }

    /// Asks [`MODEL`] for the next turn of a conversation; `model` is added to `body`.
    pub fn chat(&self, mut body: Value) -> Reply {
        body["model"] = MODEL.into();
        self.post("/v1/chat/completions", &body)
    }

    /// The value of metric `name` at `/metrics`; 0 if it is not there yet.
    ///
    /// # Panics
    ///
    /// If the value is not a number.
    pub fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").body;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().expect("a number"))
    }

    /// Waits until `done` accepts the value of metric `name`.
    ///
    /// # Panics
    ///
    /// If that takes more than a minute.
    pub fn wait(&self, name: &str, done: impl Fn(f64) -> bool) {
        let start = Instant::now();
        while !done(self.metric(name)) {
            assert!(start.elapsed() < Duration::from_secs(60), "{}", self.get("/metrics").body);
            sleep(Duration::from_millis(5));
        }
    }

    /// Checks that the server still answers.
    ///
    /// # Panics
    ///
    /// If it does not.
    pub fn assert_alive(&self) {
        let body = json!({"prompt": PROMPT, "max_tokens": 4, "temperature": 0});
        let reply = self.complete(body).ok();
        assert!(!reply["choices"][0]["text"].as_str().expect("a text").is_empty());
    }

    /// Sends the process a signal, such as `INT`.
    ///
    /// # Panics
    ///
    /// If the program `kill` fails.
    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", name, &id]).status();
        assert!(status.expect("the program `kill`").success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
