//! SIGINT and SIGTERM: an interrupted run leaves nothing behind.

#![cfg(unix)]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use slicegpt_testkit::{Cli, fixtures};

/// Names of everything in `directory`.
fn names(directory: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// A word of a command, with `MODEL` replaced by the path of a trained model.
fn model(word: &str) -> String {
    let model = fixtures().join("models/ts-llama3-gqa").canonicalize().unwrap();
    word.replace("MODEL", model.to_str().unwrap())
}

fn interrupt(child: &Child, signal: &str) {
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-s", signal, &id]).status().unwrap().success());
}

/// Waits until `done`, at most a minute.
fn wait(child: &mut Child, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it was interrupted");
        assert!(start.elapsed() < Duration::from_secs(60), "it never began");
        sleep(Duration::from_millis(5));
    }
}

/// Starts `command`, which takes seconds, sends `signal` while it works, and checks its output and
/// what it leaves behind.
fn check(signal: &str, command: &str) {
    let scratch = tempfile::tempdir().unwrap();
    write_tokens(&scratch.path().join("tokens.safetensors"));
    let before = names(scratch.path());
    let mut child = Command::new(Cli::program())
        .args(command.split(' ').map(model))
        .current_dir(scratch.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    if command.contains("--out") {
        // So that there is something to clean up.
        wait(&mut child, || names(scratch.path()) != before);
    }
    sleep(Duration::from_millis(300));
    interrupt(&child, signal);
    let asked = Instant::now();
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    let context = format!("{signal} {command}: {}, {stderr}", output.status);
    assert_eq!(names(scratch.path()), before, "{context}");
    assert_eq!(output.status.code(), Some(130), "{context}");
    assert!(stderr.lines().any(|line| line.starts_with("interrupted")), "{context}");
    assert!(!stderr.contains("error"), "{context}");
    assert!(output.stdout.is_empty(), "{context}");
    assert!(asked.elapsed() < Duration::from_secs(20), "{context}");
}

/// 256 sequences of 512 tokens.
fn write_tokens(path: &Path) {
    let shape = vec![256, 512];
    let ids: Vec<u8> = (0..256 * 512_i32).flat_map(|i| (i % 2048).to_le_bytes()).collect();
    let view = TensorView::new(Dtype::I32, shape, &ids).unwrap();
    safetensors::serialize_to_file([("input_ids", view)], None, path).unwrap();
}

const COMPRESS: &str =
    "compress MODEL --out out --calibration tokens.safetensors --samples 256 --batch-size 4";

#[test]
fn an_interrupted_compression_leaves_nothing() {
    check("INT", COMPRESS);
}

#[test]
fn a_terminated_compression_leaves_nothing() {
    check("TERM", COMPRESS);
}

#[test]
fn sampling_from_the_model_can_be_interrupted() {
    check("INT", "compress MODEL --out out --calibration self --samples 512 --seqlen 512");
}

#[test]
fn commands_that_read_can_be_interrupted() {
    check("INT", "logits MODEL --out logits.safetensors --tokens tokens.safetensors");
    check("INT", "eval ppl MODEL --tokens tokens.safetensors");
    check("INT", "verify MODEL --max-samples 2000");
}

/// An older output stays unchanged.
#[test]
fn an_output_to_be_replaced_is_kept() {
    let scratch = tempfile::tempdir().unwrap();
    let out = scratch.path().join("out");
    std::fs::create_dir(&out).unwrap();
    std::fs::write(out.join("config.json"), "{}").unwrap();
    write_tokens(&scratch.path().join("tokens.safetensors"));
    let mut child = Command::new(Cli::program())
        .args(COMPRESS.split(' ').map(model))
        .arg("--force")
        .current_dir(scratch.path())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait(&mut child, || names(&out).len() > 1);
    interrupt(&child, "INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(names(&out), ["config.json".to_string()].into());
    assert_eq!(std::fs::read_to_string(out.join("config.json")).unwrap(), "{}");
    assert_eq!(names(scratch.path()).len(), 2);
}

/// Scoring comes after the output is complete. If scoring is interrupted, the sliced model stays,
/// and the message does not deny it.
#[test]
fn an_interruption_after_the_output_keeps_it() {
    let scratch = tempfile::tempdir().unwrap();
    write_tokens(&scratch.path().join("tokens.safetensors"));
    let options = "--samples 2 --eval-text tokens.safetensors --eval-max-samples 60";
    let mut child = Command::new(Cli::program())
        .args("compress MODEL --out out --calibration tokens.safetensors".split(' ').map(model))
        .args(options.split(' '))
        .current_dir(scratch.path())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait(&mut child, || scratch.path().join("out").exists());
    interrupt(&child, "INT");
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    assert!(!stderr.contains("nothing was written"), "{stderr}");
    assert!(scratch.path().join("out/config.json").is_file());
}
