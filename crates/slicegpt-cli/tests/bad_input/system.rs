//! Errors of the system: full disks, missing permissions, not enough memory.

#![cfg(unix)]

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use serde_json::json;
use slicegpt_testkit::{Cli, fixtures};

use crate::sandbox::{COMPRESS, LOGITS, READERS, Sandbox, check_commands, none};

/// Checks that each command is refused if a shell runs `before` first.
fn check(sandbox: &Sandbox, before: &str, rows: &[(&str, &[&str])]) {
    let complaint =
        |(command, says): &(&str, &[&str])| sandbox.complaint(sandbox.after(before, command), says);
    none(&rows.iter().filter_map(complaint).collect::<Vec<_>>());
}

/// Makes writes beyond `kib` KiB of a file fail, as on a full disk, without a signal that would end
/// the process.
fn full_after(kib: u64) -> String {
    format!("trap '' XFSZ; ulimit -f {}", kib * 2)
}

#[test]
fn a_full_disk_is_an_error_with_the_file() {
    let sandbox = Sandbox::new("families/llama2");
    let shards = format!("{COMPRESS} --max-shard-size 1");
    check(
        &sandbox,
        &full_after(4),
        &[
            (COMPRESS, &["model.safetensors", "File too large"]),
            (&shards, &["model-00001-of-", "File too large"]),
            (LOGITS, &["safetensors", "File too large"]),
        ],
    );
    // The weights fit, but a file that is copied after them does not.
    sandbox.write("dense/LICENSE", vec![b'x'; 300 << 10]);
    check(&sandbox, &full_after(200), &[(COMPRESS, &["LICENSE", "File too large"])]);
}

/// A file without read permission. The superuser can read everything, so nothing is tested for it.
#[test]
fn an_unreadable_file_is_named() {
    let forbid = |sandbox: &Sandbox, name: &str| {
        std::fs::set_permissions(sandbox.path(name), PermissionsExt::from_mode(0o000)).unwrap();
        std::fs::read(sandbox.path(name)).is_err()
    };
    for name in ["dense/config.json", "dense/model.safetensors"] {
        let sandbox = Sandbox::new("families/llama2");
        if forbid(&sandbox, name) {
            let says = &[name][..];
            check_commands(&sandbox, &READERS.iter().map(|c| (*c, says)).collect::<Vec<_>>());
        }
    }
    let sandbox = Sandbox::new("families/llama2");
    if forbid(&sandbox, "tokens.safetensors") {
        let says = &["tokens.safetensors"][..];
        check_commands(&sandbox, &READERS[2..].iter().map(|c| (*c, says)).collect::<Vec<_>>());
    }
}

#[test]
fn an_unwritable_folder_is_named() {
    let sandbox = Sandbox::new("families/llama2");
    sandbox.create_dir("locked");
    let mode = |mode| {
        std::fs::set_permissions(sandbox.path("locked"), PermissionsExt::from_mode(mode)).unwrap();
    };
    mode(0o555);
    if std::fs::write(sandbox.path("locked/file"), "").is_err() {
        let rows: &[(&str, &[&str])] = &[
            ("compress dense --out locked/out --calibration tokens.safetensors", &["locked"]),
            ("logits dense --out locked/l.safetensors --tokens tokens.safetensors", &["locked"]),
        ];
        check_commands(&sandbox, rows);
    }
    mode(0o755);
}

/// A config with two billion layers must not exhaust the memory, nor end the process without an
/// error.
#[test]
fn a_huge_config_does_not_exhaust_memory() {
    let sandbox = Sandbox::new("families/llama2");
    sandbox
        .json("dense/config.json", |config| config["num_hidden_layers"] = json!((1_u64 << 31) - 1));
    let says = &["dense/config.json", "num_hidden_layers"][..];
    check(&sandbox, "ulimit -v 8000000", &[("inspect dense", says), ("plan dense", says)]);
}

/// A command that gets too little memory ends as one with bad input does, and leaves no output.
#[test]
fn missing_memory_is_an_error() {
    for limit in [150_000, 300_000, 1_000_000] {
        let sandbox = Sandbox::new("families/llama2");
        let run = sandbox.after(&format!("ulimit -v {limit}"), COMPRESS).run();
        match run.code {
            Some(0) => {}
            Some(2) => {
                assert!(run.stderr.contains("out of memory"), "{limit}: {}", run.stderr);
                assert!(!sandbox.path("out").exists());
            }
            other => panic!("{limit}: {other:?}: {}", run.stderr),
        }
        let left = std::fs::read_dir(sandbox.path(".")).unwrap();
        let left = left.filter(|entry| {
            entry.as_ref().unwrap().file_name().to_string_lossy().contains(".partial-")
        });
        assert_eq!(left.count(), 0, "{limit}");
    }
}

/// If results cannot be printed, that is an ordinary error, not a panic.
#[cfg(target_os = "linux")]
#[test]
fn a_full_stdout_is_an_error() {
    let sandbox = Sandbox::new("families/llama2");
    let rows = ["inspect dense", "inspect dense --json", "plan dense", "verify dense"];
    let rows: Vec<_> = rows.iter().map(|command| (*command, &["stdout"][..])).collect();
    check(&sandbox, "exec > /dev/full", &rows);
}

/// A line for stderr that cannot be written is lost, and nothing else.
#[cfg(target_os = "linux")]
#[test]
fn a_full_stderr_changes_no_exit_code() {
    let sandbox = Sandbox::new("families/llama2");
    let full = |command: &str| sandbox.after("exec 2> /dev/full", command).run();
    assert_eq!(full("inspect nowhere").code, Some(2));
    // It warns that there are fewer samples.
    let run = full("compress dense --out out --calibration tokens.safetensors --samples 1000");
    assert_eq!(run.code, Some(0));
    sandbox.slicegpt(".", "inspect out").succeed();
}

/// `slicegpt inspect MODEL | head -1` ends when `head` closes the pipe.
#[test]
fn a_closed_pipe_is_no_panic() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut inspect = std::process::Command::new(Cli::program());
    inspect.arg("inspect").arg(fixtures().join("families/llama2")).stdout(writer);
    let output = inspect.stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!stderr.contains("panicked") && !stderr.contains("internal error"), "{stderr}");
    assert_ne!(output.status.code(), Some(101));
}

/// The cause of an error is part of its message and must not be appended again.
#[test]
fn no_cause_is_printed_twice() {
    let sandbox = Sandbox::new("families/llama2");
    sandbox.write("few.json", "[1]");
    sandbox.write("file", "x");
    for command in [
        "compress dense --out out --calibration nowhere.txt",
        "compress dense --out out --calibration nowhere.safetensors",
        "compress dense --out file/out --calibration tokens.safetensors",
        "plan dense --plan few.json",
        "plan dense --plan nowhere.json",
    ] {
        let stderr = sandbox.slicegpt(".", command).run().stderr;
        let clauses: Vec<&str> = stderr.trim_end().split(": ").collect();
        let twice = clauses.windows(2).find(|pair| pair[0] == pair[1]);
        assert_eq!(twice, None, "{command}\n{stderr}");
    }
}
