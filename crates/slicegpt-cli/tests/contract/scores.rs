//! `eval ppl` and `logits`: which tokens count, and what is written.

use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use slicegpt_testkit::{TRAINED, Tensors, Workshop, header, is_close};

fn score(workshop: &Workshop, options: &str) -> Value {
    workshop.json(&format!("eval ppl MODEL --tokens MODEL/expected.safetensors{options}"))
}

/// The mean over sequences of the mean cross-entropy of the labels, computed here from logits and
/// ids.
fn by_hand(logits: &[f64], ids: &[f64], mask: &[f64], ignored: Option<f64>, seqlen: usize) -> f64 {
    let vocab_size = logits.len() / ids.len();
    let loss = |at: usize| {
        let row = &logits[at * vocab_size..][..vocab_size];
        row.iter().map(|x| x.exp()).sum::<f64>().ln() - row[ids[at + 1] as usize]
    };
    let sequences = (0..ids.len()).step_by(seqlen).map(|start| {
        let labels = (start..start + seqlen - 1)
            .filter(|at| mask[at + 1] == 1.0 && Some(ids[at + 1]) != ignored)
            .map(loss);
        let (sum, count) = labels.fold((0.0, 0.0), |(sum, count), x| (sum + x, count + 1.0));
        sum / count
    });
    let (sum, count) = sequences.fold((0.0, 0.0), |(sum, count), x| (sum + x, count + 1.0));
    f64::exp(sum / count)
}

#[test]
fn perplexity_is_that_of_the_logits_of_transformers() {
    for case in ["llama2", "opt", "phi", "phi3", "qwen3"] {
        let workshop = Workshop::new(&format!("families/{case}"));
        let expected = Tensors::read(&workshop.model("expected.safetensors"));
        let values = |name: &str| expected.values(name).to_vec();
        let ones = vec![1.0; 48];
        let (ids, logits) = (values("input_ids"), values("logits"));
        let plain = score(&workshop, "");
        let want = by_hand(&logits, &ids, &ones, None, 24);
        assert!(is_close(plain["perplexity"].as_f64().unwrap(), want, 1e-4), "{case}: {want}");
        assert_eq!(
            (&plain["tokens"], &plain["samples"], &plain["seqlen"]),
            (&46.into(), &2.into(), &24.into())
        );

        let label = ids[30];
        let count = (0..48).filter(|i| i % 24 > 0 && ids[*i] == label).count();
        assert!(count > 0);
        let ignoring = score(&workshop, &format!(" --ignore-token-id {label}"));
        assert_eq!(ignoring["tokens"], 46 - count, "{case}");
        let want = by_hand(&logits, &ids, &ones, Some(label), 24);
        assert!(is_close(ignoring["perplexity"].as_f64().unwrap(), want, 1e-4), "{case}: {want}");

        // Five tokens of the first sequence are padding.
        let padded = score(&workshop, ":padded_input_ids");
        assert_eq!(padded["tokens"], 41, "{case}");
        let (ids, mask) = (values("padded_input_ids"), values("padded_attention_mask"));
        let want = by_hand(&values("padded_logits"), &ids, &mask, None, 24);
        assert!(is_close(padded["perplexity"].as_f64().unwrap(), want, 1e-4), "{case}: {want}");
    }
}

/// The token ids at padded positions change nothing.
#[test]
fn padding_is_ignored() {
    let workshop = Workshop::new("families/llama2");
    let mut bytes = std::fs::read(workshop.model("expected.safetensors")).unwrap();
    let (length, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
    let start = 8 + length + metadata.info("padded_input_ids").unwrap().data_offsets.0;
    // The name of the file differs.
    let numbers = |mut json: serde_json::Value| {
        json.as_object_mut().unwrap().remove("text");
        json
    };
    let before = numbers(score(&workshop, ":padded_input_ids"));
    for position in 19..24 {
        let at = start + 8 * position;
        assert_eq!(bytes[at..at + 8], 1_i64.to_le_bytes(), "padding at {position}");
        bytes[at..at + 8].copy_from_slice(&(position as i64).to_le_bytes());
    }
    workshop.write("other.safetensors", &bytes);
    let scored = || workshop.json("eval ppl MODEL --tokens other.safetensors:padded_input_ids");
    let after = numbers(scored());
    assert_eq!(before, after);
    // The check notices a difference if there is one.
    let at = start + 8 * 18;
    bytes[at..at + 8].copy_from_slice(&3_i64.to_le_bytes());
    workshop.write("other.safetensors", &bytes);
    assert_ne!(before, numbers(scored()));
}

#[test]
fn batches_and_samples_follow_the_options() {
    let workshop = Workshop::new("families/llama2");
    let all = score(&workshop, "");
    assert_eq!(score(&workshop, " --max-samples 9"), all);
    let one = score(&workshop, " --max-samples 1");
    assert_eq!((&one["samples"], &one["tokens"]), (&1.into(), &23.into()));
    let short = score(&workshop, " --seqlen 10");
    assert_eq!((&short["seqlen"], &short["tokens"]), (&10.into(), &18.into()));
    let batched = score(&workshop, " --batch-size 1");
    let [a, b] = [&all, &batched].map(|json| json["perplexity"].as_f64().unwrap());
    assert!(is_close(a, b, 1e-6), "{a} {b}");
}

#[test]
fn the_protocol_names_the_source_of_the_tokens() {
    let workshop = Workshop::new(TRAINED);
    let protocol = |options: &str| {
        let scored =
            workshop.json(&format!("eval ppl MODEL --seqlen 16 --max-samples 1 {options}"));
        scored["protocol"].as_str().unwrap().to_string()
    };
    let text = protocol("--text FIXTURES/text/valid.txt");
    assert!(text.contains("tokenised"), "{text}");
    assert!(protocol("--text FIXTURES/text/valid.txt --ignore-token-id 1").contains("equal to 1"));
    for option in ["--tokens", "--text"] {
        let file = "FIXTURES/families/llama2/expected.safetensors";
        let tokens = protocol(&format!("{option} {file}"));
        assert!(tokens.contains("token ids as given"), "{option}: {tokens}");
    }
}

/// A perplexity may overflow; its logarithm does not, and JSON can hold it.
#[test]
fn the_logarithm_of_a_perplexity_is_a_number() {
    let workshop = Workshop::new("families/llama2");
    let mut tensors = Tensors::read(&workshop.model("model.safetensors"));
    let (shape, values) = tensors.get("lm_head.weight").unwrap();
    let (shape, values) = (shape.to_vec(), values.iter().map(|x| x * 1e4).collect());
    tensors.insert("lm_head.weight", &shape, values);
    std::fs::create_dir(workshop.path("loud")).unwrap();
    tensors.write_f32(&workshop.path("loud/model.safetensors"));
    std::fs::copy(workshop.model("config.json"), workshop.path("loud/config.json")).unwrap();
    let scored = workshop.json("eval ppl loud --tokens MODEL/expected.safetensors");
    assert!(scored["nll"].as_f64().is_some_and(|nll| nll > 709.0), "{scored}");
}

#[test]
fn compress_scores_before_and_after() {
    let workshop = Workshop::new("families/llama2");
    let tokens = "--calibration MODEL/expected.safetensors --samples 2";
    let score = "--eval-text MODEL/expected.safetensors";
    let result = workshop.json(&format!("compress MODEL --out out {tokens} {score}"));
    assert_eq!(result["perplexity_before"], workshop.perplexity("MODEL"));
    assert_eq!(result["perplexity_after"], workshop.perplexity("out"));
    assert!(result["protocol"].as_str().unwrap().contains("token ids as given"), "{result}");
}

#[test]
fn logits_are_samples_by_tokens_by_vocabulary() {
    let workshop = Workshop::new("families/llama2");
    for (options, shape) in [
        ("MODEL/expected.safetensors", [2, 24, 64]),
        ("MODEL/expected.safetensors --batch-size 1", [2, 24, 64]),
        ("MODEL/expected.safetensors --seqlen 7", [2, 7, 64]),
        ("MODEL/expected.safetensors:padded_input_ids", [2, 24, 64]),
    ] {
        let file = "new/logits.safetensors";
        workshop.succeed(&format!("logits MODEL --out {file} --tokens {options}"));
        let header = header(&workshop.path(file));
        assert_eq!(header.tensors().len(), 1, "{options}");
        let info = header.info("logits").unwrap();
        assert_eq!((info.dtype, &info.shape[..]), (Dtype::F32, &shape[..]), "{options}");
        // Only that file is written, and the next run replaces it.
        assert_eq!(std::fs::read_dir(workshop.path("new")).unwrap().count(), 1, "{options}");
    }
}
