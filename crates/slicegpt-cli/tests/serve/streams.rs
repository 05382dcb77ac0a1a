//! Streams: the parts make up the text.

use std::collections::BTreeSet;
use std::io::Read;
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use slicegpt_testkit::http::send;
use slicegpt_testkit::server::{MODEL, PROMPT, Server};

/// The text of a choice, joined from the parts of the stream.
fn joined(events: &[Value], index: usize, of: impl Fn(&Value) -> Option<&str>) -> String {
    let choices = events.iter().flat_map(|event| event["choices"].as_array().unwrap());
    choices.filter(|choice| choice["index"] == index).filter_map(of).collect()
}

#[test]
fn parts_of_completions_make_the_text() {
    let server = Server::start(&[]);
    for more in [
        json!({}),
        json!({"echo": true}),
        json!({"stop": ["play"]}),
        json!({"n": 2, "temperature": 1.0, "seed": 3}),
        json!({"logprobs": 2, "echo": true}),
        json!({"prompt": [PROMPT, "Tom and"]}),
        json!({"max_tokens": 0, "echo": true}),
    ] {
        let mut body = json!({"prompt": PROMPT, "max_tokens": 40, "temperature": 0});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let whole = server.complete(body.clone()).ok();
        body["stream"] = json!(true);
        let plain = server.complete(body.clone()).events();
        assert!(plain.iter().all(|event| event.get("usage").is_none()));
        body["stream_options"] = json!({"include_usage": true});
        let mut events = server.complete(body.clone()).events();
        let last = events.pop().unwrap();
        assert_eq!(last["choices"], json!([]));
        assert_eq!(last["usage"], whole["usage"], "{more}");
        assert!(events.iter().all(|event| event["usage"].is_null()));
        for choice in whole["choices"].as_array().unwrap() {
            let index = choice["index"].as_u64().unwrap() as usize;
            let text = joined(&events, index, |choice| choice["text"].as_str());
            assert_eq!(choice["text"], text, "{more}");
            let finish = joined(&events, index, |choice| choice["finish_reason"].as_str());
            assert_eq!(choice["finish_reason"], finish, "{more}");
            for name in ["tokens", "token_logprobs", "text_offset", "top_logprobs"] {
                let parts = events.iter().flat_map(|event| event["choices"].as_array().unwrap());
                let parts = parts.filter(|choice| choice["index"] == index);
                let parts: Vec<Value> = parts
                    .filter_map(|choice| choice["logprobs"][name].as_array())
                    .flatten()
                    .cloned()
                    .collect();
                let all = choice["logprobs"][name].as_array().cloned().unwrap_or_default();
                assert_eq!(parts.len(), all.len(), "{more}: {name}");
                if name == "tokens" || name == "text_offset" {
                    assert_eq!(parts, all, "{more}: {name}");
                }
            }
        }
        let ids: Vec<&Value> = events.iter().map(|event| &event["id"]).collect();
        assert!(ids.iter().all(|id| *id == ids[0]));
        assert!(events.iter().all(|event| event["object"] == "text_completion"));
        if more == json!({}) {
            assert!(events.len() > 20, "{} parts", events.len());
        }
    }
}

/// The texts of the request take turns, so that none of them waits until the reader is dropped.
#[test]
fn a_slow_reader_loses_no_text() {
    let server = Server::start(&["--stall-timeout", "1"]);
    let body = json!({
        "model": MODEL, "prompt": PROMPT, "max_tokens": 60, "ignore_eos": true, "n": 64,
        "stream": true, "logprobs": 20,
    });
    let path = "/v1/completions";
    let mut slow = send(&server.address, "POST", path, "", body.to_string().as_bytes());
    let (mut all, mut some) = (Vec::new(), [0; 8192]);
    loop {
        match slow.read(&mut some).unwrap() {
            0 => break,
            more => all.extend(&some[..more]),
        }
        sleep(Duration::from_millis(10));
    }
    let all = String::from_utf8(all).unwrap();
    assert!(all.ends_with("0\r\n\r\n"));
    assert_eq!(all.matches("\"finish_reason\":\"length\"").count(), 64);
    // The stream lasted seconds, but all parts were created in one.
    let created = all.split("\"created\":").skip(1).map(|rest| rest.split(',').next().unwrap());
    assert_eq!(created.collect::<BTreeSet<_>>().len(), 1);
    let ended =
        |reason| server.metric(&format!("slicegpt_sequences_ended_total{{reason=\"{reason}\"}}"));
    assert_eq!(["length", "stalled", "gone"].map(ended), [64.0, 0.0, 0.0]);
}
