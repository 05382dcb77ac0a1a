//! The program finds every kind of fault: a panic, an abort, a loop, and memory without bound.

use std::path::Path;
use std::process::Command;

#[test]
fn every_kind_of_fault_is_found() {
    let out = tempfile::tempdir().unwrap();
    let run = |reader: &str, inputs: &str| {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
        let done = Command::new(env!("CARGO_BIN_EXE_slicegpt-fuzz"))
            .args(["run", "--reader", reader, "--inputs", inputs, "--longest", "2", "--fixtures"])
            .args([fixtures.as_path(), Path::new("--out"), out.path()])
            .output()
            .unwrap();
        (done.status.code(), String::from_utf8(done.stdout).unwrap())
    };
    let (code, table) = run("faulty", "40");
    assert_eq!(code, Some(1), "{table}");
    for fault in ["panic: a panic on purpose", "signal: 6", "no end after 2 s"] {
        assert!(table.contains(fault), "{fault}: {table}");
    }
    let kept: Vec<_> = std::fs::read_dir(out.path()).unwrap().collect();
    assert!(kept.len() > 3 && table.contains(&out.path().display().to_string()), "{table}");

    let (code, table) = run("widths", "200");
    assert_eq!(code, Some(0), "{table}");
    assert!(table.contains("200 inputs in ") && table.contains(", 0 faults"), "{table}");
}
