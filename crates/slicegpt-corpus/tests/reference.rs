//! Tokens of the reference implementation. `cargo xtask test --reference DIR` runs these tests: DIR
//! holds the tokens (`golden/`), the models they were made with (`models/`) and the texts
//! (`corpora/`).

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use slicegpt_corpus::{
    Samples, Text, Vocabulary, calibration_samples, evaluation_samples, token_file,
};

/// Byte-level BPE, SentencePiece with and without byte fallback; with and without a
/// beginning-of-sequence token.
const MODELS: [&str; 6] =
    ["ts-llama3-gqa", "ts-opt", "ts-phi", "ts-phi3", "stories260K", "babyllama-1m-tok105"];

fn reference() -> PathBuf {
    let folder = std::env::var_os("SLICEGPT_REFERENCE");
    folder.map(PathBuf::from).expect("run this test with: cargo xtask test --reference DIR")
}

fn vocabulary(folder: &Path, model: &str) -> Vocabulary {
    Vocabulary::open(&folder.join("models").join(model)).unwrap()
}

fn golden(folder: &Path, model: &str, tensor: &str) -> Samples {
    let file = folder.join("golden").join(model).join("golden.safetensors");
    token_file(&format!("{}:{tensor}", file.display())).unwrap()
}

#[test]
#[ignore = "needs the reference models: cargo xtask test --reference DIR"]
fn evaluation_tokens_are_those_of_the_reference() {
    let folder = reference();
    let text = Text::read(&folder.join("corpora/tinystories/valid.txt"), None).unwrap();
    for model in MODELS {
        let golden_samples = golden(&folder, model, "eval_input_ids");
        let vocabulary = vocabulary(&folder, model);
        let ours = evaluation_samples(&text, &vocabulary, golden_samples.seqlen()).unwrap();

        let record = folder.join("golden").join(model).join("golden.json");
        let record: Value = serde_json::from_slice(&std::fs::read(record).unwrap()).unwrap();
        let in_full = &record["dense"]["eval"]["sequences_in_full_test"];
        assert_eq!(ours.count() as u64, in_full.as_u64().unwrap(), "{model}");
        assert_eq!(ours.take(golden_samples.count()), golden_samples, "{model}");
    }
}

#[test]
#[ignore = "needs the reference models: cargo xtask test --reference DIR"]
fn calibration_samples_begin_as_in_the_reference() {
    let folder = reference();
    let text = Text::read(&folder.join("corpora/tinystories/train.plain.txt"), None).unwrap();
    for model in MODELS {
        let golden = golden(&folder, model, "cal_input_ids");
        let vocabulary = vocabulary(&folder, model);
        let ours = calibration_samples(&text, &vocabulary, 128, golden.seqlen(), 42).unwrap();
        assert_eq!(ours.count(), 128);
        let first =
            |samples: &Samples| -> Vec<u32> { samples.batches(1).map(|(ids, _)| ids[0]).collect() };
        // Each sample begins with the beginning-of-sequence token if the tokenizer adds one, else
        // with any token.
        let (golden, ours) = (first(&golden), first(&ours));
        if golden.iter().all(|id| *id == golden[0]) {
            assert_eq!(ours, golden, "{model}");
        } else {
            assert!(ours.iter().any(|id| *id != ours[0]), "{model}");
        }
    }
}

#[test]
#[ignore = "needs the reference models: cargo xtask test --reference DIR"]
fn a_long_document_is_tokenised_in_seconds_and_decodes_to_itself() {
    let folder = reference();
    let text = Text::read(&folder.join("corpora/wikitext2/wiki.test.raw"), None).unwrap();
    let document = text.rows().join("\n\n");
    assert!(document.len() > 1_200_000);
    for model in MODELS {
        let vocabulary = vocabulary(&folder, model);
        let start = Instant::now();
        let ids = vocabulary.encode(&document).unwrap();
        let elapsed = start.elapsed();
        eprintln!("{model}: {} tokens in {elapsed:.1?}", ids.len());
        assert!(elapsed < Duration::from_secs(20), "{model}: {elapsed:?}");
        // This vocabulary of 105 characters does not cover Wikipedia.
        if model != "babyllama-1m-tok105" {
            assert!(vocabulary.decode(&ids).unwrap() == document, "{model}");
        }
    }
}
