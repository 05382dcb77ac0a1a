//! Logprobs: those of `slicegpt logits`.

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::{Value, json};
use slicegpt_testkit::server::{MODEL, Server, directory};
use slicegpt_testkit::{Cli, Tensors};

const TEXT: &str = "Once upon a time, there was a café. Lily said: \"I like 猫!\"";

/// The log-probabilities after each token, from `slicegpt logits`.
fn expected(ids: &[u32]) -> Vec<Vec<f64>> {
    let scratch = tempfile::tempdir().unwrap();
    let (tokens, out) =
        (scratch.path().join("t.safetensors"), scratch.path().join("l.safetensors"));
    let bytes: Vec<u8> = ids.iter().flat_map(|id| (*id as i32).to_le_bytes()).collect();
    let view = TensorView::new(Dtype::I32, vec![1, ids.len()], &bytes).unwrap();
    safetensors::serialize_to_file([("input_ids", view)], None, &tokens).unwrap();
    let command = Cli::new("logits").arg(directory(MODEL)).arg("--tokens").arg(&tokens);
    command.arg("--out").arg(&out).succeed();
    let logits = Tensors::read(&out);
    let (shape, values) = logits.get("logits").unwrap();
    let log_softmax = |row: &[f64]| {
        let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = row.iter().map(|x| (x - most).exp()).sum();
        row.iter().map(|x| x - most - sum.ln()).collect()
    };
    values.chunks(shape[2]).map(log_softmax).collect()
}

fn near(found: &Value, want: f64) {
    let found = found.as_f64().unwrap_or_else(|| panic!("{found} is no number"));
    assert!((found - want).abs() < 1e-3, "{found}, not {want}");
}

#[test]
fn echoed_tokens_have_the_logprobs_of_logits() {
    let server = Server::start(&[]);
    let vocabulary = slicegpt_corpus::Vocabulary::open(directory(MODEL).as_ref()).unwrap();
    let ids = vocabulary.encode_prompt(TEXT).unwrap();
    let want = expected(&ids);
    for (prompt, max_tokens) in [(json!(TEXT), 1), (json!(ids), 1), (json!([ids]), 0)] {
        let body = json!({"prompt": prompt, "echo": true, "logprobs": 3, "max_tokens": max_tokens,
            "temperature": 0, "seed": 1234});
        let reply = server.complete(body).ok();
        let choice = &reply["choices"][0];
        let logprobs = &choice["logprobs"];
        let list = |name: &str| logprobs[name].as_array().unwrap();
        let (tokens, offsets) = (list("tokens"), list("text_offset"));
        let (likely, top) = (list("token_logprobs"), list("top_logprobs"));
        for list in [tokens, offsets, likely, top] {
            assert_eq!(list.len(), ids.len() + max_tokens);
        }
        // The first token has no logprob.
        assert!(likely[0].is_null() && top[0].is_null());
        assert_eq!(tokens[0], "<|begin_of_text|>");
        for at in 1..ids.len() {
            let row = &want[at - 1];
            near(&likely[at], row[ids[at] as usize]);
            let mut sorted = row.clone();
            sorted.sort_by(|a, b| b.total_cmp(a));
            let mut found: Vec<f64> =
                top[at].as_object().unwrap().values().map(|x| x.as_f64().unwrap()).collect();
            found.sort_by(|a, b| b.total_cmp(a));
            // Alternatives with the same text count once; the chosen token may be one more.
            assert!((1..=4).contains(&found.len()), "{found:?}");
            near(&json!(found[0]), sorted[0]);
            let own = top[at].get(tokens[at].as_str().unwrap()).unwrap();
            assert!(own.as_f64() >= likely[at].as_f64());
        }
        if max_tokens == 1 {
            let greatest = want[ids.len() - 1].iter().copied().fold(f64::NEG_INFINITY, f64::max);
            near(&likely[ids.len()], greatest);
        }
        assert_text(choice["text"].as_str().unwrap(), tokens, offsets);
        assert!(choice["text"].as_str().unwrap().starts_with(TEXT));
    }
}

/// Checks that tokens are in the text at their offsets, except special tokens and parts of
/// characters.
fn assert_text(text: &str, tokens: &[Value], offsets: &[Value]) {
    let characters: Vec<char> = text.chars().collect();
    let mut whole = 0;
    for (token, offset) in tokens.iter().zip(offsets) {
        let (token, offset) = (token.as_str().unwrap(), offset.as_u64().unwrap() as usize);
        if token.contains('\u{FFFD}') || token.starts_with("<|") {
            continue;
        }
        let found: String = characters[offset..].iter().take(token.chars().count()).collect();
        assert_eq!(found, token, "at {offset} of {text}");
        whole += 1;
    }
    assert!(whole * 3 > tokens.len() * 2, "{tokens:?}");
}

#[test]
fn generated_tokens_have_logprobs_too() {
    let server = Server::start(&[]);
    let ask = |logprobs: Value| {
        let body = json!({"prompt": "Once upon a time", "max_tokens": 20, "temperature": 0,
            "logprobs": logprobs});
        server.complete(body).ok()["choices"][0].clone()
    };
    assert!(ask(Value::Null)["logprobs"].is_null());
    let choice = ask(json!(5));
    let list = |name: &str| choice["logprobs"][name].as_array().unwrap();
    let text = choice["text"].as_str().unwrap();
    assert_text(text, list("tokens"), list("text_offset"));
    let joined: String = list("tokens").iter().map(|token| token.as_str().unwrap()).collect();
    assert_eq!(joined, text);
    // The most likely token was taken.
    for (likely, top) in list("token_logprobs").iter().zip(list("top_logprobs")) {
        let most = top.as_object().unwrap().values().map(|x| x.as_f64().unwrap());
        assert_eq!(most.fold(f64::NEG_INFINITY, f64::max), likely.as_f64().unwrap());
    }
    // No alternatives to the chosen token.
    let alone = ask(json!(0));
    for top in alone["logprobs"]["top_logprobs"].as_array().unwrap() {
        assert_eq!(top.as_object().unwrap().len(), 1);
    }
    assert_eq!(alone["logprobs"]["token_logprobs"], choice["logprobs"]["token_logprobs"]);
}

/// The prompt is longer than one chunk of prefill.
#[test]
fn a_long_prompt_is_scored_like_a_short_one() {
    let server = Server::start(&[]);
    let ids: Vec<u32> = (0..510).map(|i| 2 + (i * 37) % 2000).collect();
    let want = expected(&ids);
    let body =
        json!({"prompt": ids, "echo": true, "logprobs": 1, "max_tokens": 2, "temperature": 0});
    let choice = server.complete(body).ok()["choices"][0].clone();
    let likely = choice["logprobs"]["token_logprobs"].as_array().unwrap();
    assert_eq!(likely.len(), 512);
    (1..ids.len()).for_each(|at| near(&likely[at], want[at - 1][ids[at] as usize]));
}
