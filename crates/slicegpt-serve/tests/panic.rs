//! A model that panics or fails at certain tokens: the affected requests get an error, and the
//! server keeps running.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use burn::tensor::DType;
use slicegpt_checkpoint::Checkpoint;
use slicegpt_core::Unobserved;
use slicegpt_corpus::Vocabulary;
use slicegpt_generate::{Engine, GenerationConfig};
use slicegpt_models::{Cache, Model};
use slicegpt_serve::{Forward, Language, Logits, Options, Server};
use slicegpt_testkit::{device, fixtures};

/// A forward pass over this token panics.
const PANICS: u32 = 1913;

/// A forward pass over this token fails.
const FAILS: u32 = 1914;

/// The logits of a sequence that contains this token are lost, but not those of the others.
const OVERFLOWS: u32 = 1915;

struct Fragile(Engine<Checkpoint>);

impl Fragile {
    fn check(&self, ids: &[u32]) -> Result<(), String> {
        assert!(!ids.contains(&PANICS), "token {PANICS} was seen");
        if ids.contains(&FAILS) { Err("the device is lost".into()) } else { Ok(()) }
    }
}

impl Forward for Fragile {
    fn prefill(&self, ids: &[u32], cache: &Cache) -> Result<(), String> {
        self.check(ids)?;
        Forward::prefill(&self.0, ids, cache)
    }

    fn prompt_logits(
        &self,
        ids: &[u32],
        cache: &Cache,
        sink: &mut dyn FnMut(&[f32]),
    ) -> Result<(), String> {
        self.check(ids)?;
        Forward::prompt_logits(&self.0, ids, cache, sink)
    }

    fn decode(&self, batch: &[(&[u32], &Cache)]) -> Result<Vec<Logits>, String> {
        batch.iter().try_for_each(|(ids, _)| self.check(ids))?;
        let mut logits = Forward::decode(&self.0, batch)?;
        for (logits, (ids, _)) in logits.iter_mut().zip(batch) {
            if ids.contains(&OVERFLOWS) {
                *logits = Err("the logits are lost".into());
            }
        }
        Ok(logits)
    }

    fn cache_bytes(&self, tokens: usize) -> u64 {
        Forward::cache_bytes(&self.0, tokens)
    }
}

/// Status and body of the response to a completion request.
fn ask(address: &str, prompt: &str, more: &str) -> (u16, String) {
    let body =
        format!(r#"{{"model": "m", "prompt": {prompt}, "max_tokens": 3, "temperature": 0{more}}}"#);
    post(address, &body)
}

fn post(address: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let head = "POST /v1/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
    let length = format!("Content-Length: {}\r\n\r\n", body.len());
    stream.write_all(format!("{head}{length}{body}").as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    (reply.split(' ').nth(1).unwrap().parse().unwrap(), reply)
}

#[test]
fn a_failure_is_reported_and_the_server_keeps_running() {
    let directory = fixtures().join("models/ts-llama3-gqa");
    let (config, _) = Checkpoint::describe(&directory).unwrap();
    let spec = slicegpt_models::parse(&config).unwrap();
    let language = Language {
        name: "m".into(),
        vocabulary: Arc::new(Vocabulary::open(&directory).unwrap()),
        template: Err("none".into()),
        defaults: GenerationConfig::default(),
        context_length: spec.context_length,
        vocab_size: spec.vocab_size,
    };
    let model = Model::new(spec, Checkpoint::open(&directory).unwrap(), device());
    let engine = Engine::load(model, DType::F32, &Unobserved);
    let fragile = Fragile(engine.unwrap().expect("loading was not cancelled"));
    let server = Server::bind(&["127.0.0.1:0".parse().unwrap()]).unwrap();
    let address = server.address().to_string();
    let stop = Arc::new(AtomicBool::new(false));
    let log_lines = Mutex::new(Vec::new());
    let lost = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let good = || assert_eq!(ask(&address, "[5, 6, 7]", "").0, 200);
            good();
            for more in ["", r#", "stream": true"#, r#", "echo": true, "logprobs": 1"#] {
                for (ids, message) in [
                    ("[5, 1913, 7]", "token 1913 was seen"),
                    ("[5, 1914, 7]", "the device is lost"),
                ] {
                    let (status, reply) = ask(&address, ids, more);
                    assert_eq!(status, 500, "{reply}");
                    assert!(reply.contains(message), "{reply}");
                    assert!(reply.contains(r#""type":"server_error""#), "{reply}");
                    good();
                }
            }
            // A sequence that overflows is lost alone: the other sequence of its batch continues.
            let long = r#"{"model": "m", "prompt": [5, 6], "max_tokens": 500, "temperature": 0,
                "ignore_eos": true}"#;
            let other = std::thread::spawn({
                let address = address.clone();
                move || post(&address, long)
            });
            let mut lost = 0;
            while !other.is_finished() {
                let (status, reply) = ask(&address, "[5, 1915, 7]", "");
                assert_eq!(status, 500, "{reply}");
                assert!(reply.contains("the logits are lost"), "{reply}");
                lost += 1;
            }
            let (status, reply) = other.join().unwrap();
            assert!(status == 200 && lost > 3, "{lost}: {reply}");
            lost
        });
        let (stopping, lost) = (stop.clone(), &lost);
        scope.spawn(move || {
            let result = asking.join();
            // Stop the server also if an assertion failed.
            stopping.store(true, Ordering::SeqCst);
            lost.store(result.unwrap(), Ordering::SeqCst);
        });
        let log = |line: &str| log_lines.lock().unwrap().push(line.to_string());
        let stop = move || stop.load(Ordering::SeqCst);
        server.run(language, &fragile, Options::default(), stop, &log);
    });
    assert_eq!(log_lines.into_inner().unwrap().len(), 6 + lost.into_inner());
}
