//! Files of a checkpoint that are not regular files, or too large.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use slicegpt_checkpoint::Checkpoint;

/// What opening the directory, or reading what is beside its weights, ends with.
fn says(directory: &Path) -> String {
    let start = Instant::now();
    let opened = Checkpoint::open(directory);
    let error = match &opened {
        Ok(checkpoint) => checkpoint.generation_config().err().map(|error| error.to_string()),
        Err(error) => Some(error.to_string()),
    };
    let record = || Checkpoint::record(directory).unwrap_err().to_string();
    let error = error.unwrap_or_else(record);
    assert!(start.elapsed() < Duration::from_secs(5), "{error}");
    error
}

/// A checkpoint of one tensor, without its file `name`.
fn without(name: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let weights = b"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}";
    let length = (weights.len() as u64).to_le_bytes();
    let weights = [&length[..], weights, &[0; 4]].concat();
    let sharded = name.ends_with(".index.json") || name.ends_with(".bin");
    for (file, contents) in [("config.json", &b"{}"[..]), ("model.safetensors", &weights)] {
        if file != name && !(sharded && file == "model.safetensors") {
            fs::write(directory.path().join(file), contents).unwrap();
        }
    }
    directory
}

#[test]
fn what_is_no_file_is_refused_by_name() {
    for name in [
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "model.safetensors.index.json",
        "pytorch_model.bin",
        "pytorch_model.bin.index.json",
        "slicegpt.json",
        "slicegpt-report.json",
    ] {
        let directory = without(name);
        let path = directory.path().join(name);
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        let found = says(directory.path());
        assert!(found.contains(name) && found.contains("is a pipe, not a file"), "{found}");
        fs::remove_file(&path).unwrap();
        symlink("/dev/zero", &path).unwrap();
        let found = says(directory.path());
        assert!(found.contains(name) && found.contains("is a device, not a file"), "{found}");
    }
}

#[test]
fn descriptions_have_a_largest_size() {
    for name in ["config.json", "generation_config.json", "model.safetensors.index.json"] {
        let directory = without(name);
        let file = fs::File::create(directory.path().join(name)).unwrap();
        // Of zeros that take no space.
        file.set_len(1 << 40).unwrap();
        let found = says(directory.path());
        assert!(found.contains(name) && found.contains("at most"), "{found}");
    }
}
