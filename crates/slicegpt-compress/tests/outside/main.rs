//! A project outside this workspace, with path dependencies: its program compresses a decoder of
//! its own, and its test runs every family on another CPU backend of Burn, with which the workspace
//! is not built.
//!
//! The project is compiled without optimisation, because Burn is compiled for it a second time.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What the project depends on.
const CRATES: &[&str] = &[
    "slicegpt-core",
    "slicegpt-kernels",
    "slicegpt-models",
    "slicegpt-invariance",
    "slicegpt-slice",
    "slicegpt-eval",
    "slicegpt-compress",
];

#[test]
fn a_project_outside_the_workspace_compresses_a_decoder_of_its_own() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let project = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = project.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("Cargo.toml", &cargo_toml(&workspace));
    write("src/main.rs", include_str!("../../examples/custom_decoder.rs"));
    write("tests/ndarray.rs", include_str!("ndarray.rs"));
    write("tests/toy/mod.rs", include_str!("../../../slicegpt-testkit/src/toy.rs"));
    // The versions that the workspace is built with.
    std::fs::copy(workspace.join("Cargo.lock"), project.path().join("Cargo.lock")).unwrap();

    let said = cargo(project.path(), "run");
    assert_eq!(said.lines().filter(|line| line.contains("KL")).count(), 2, "{said}");
    assert!(said.contains("the refit takes away"), "{said}");
    let said = cargo(project.path(), "test");
    assert!(
        said.contains("ndarray_is_not_taken_for_flex_and_gives_the_same_logits ... ok"),
        "{said}"
    );
}

/// Runs a command of cargo in the project, and returns what it prints.
fn cargo(project: &Path, command: &str) -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .arg(command)
        .arg("--target-dir")
        .arg(target_directory())
        .current_dir(project)
        .output()
        .unwrap();
    let [said, errors] =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success(), "{said}\n{errors}");
    said
}

fn cargo_toml(workspace: &Path) -> String {
    let dependency = |name: &&str| {
        let path = workspace.join("crates").join(name);
        format!("{name} = {{ path = {:?} }}\n", path.display().to_string())
    };
    let dependencies: String = CRATES.iter().map(dependency).collect();
    format!(
        r#"[package]
name = "outside"
version = "0.0.0"
edition = "2024"

[workspace]

[dependencies]
{dependencies}
burn = {{ version = "0.22.1", default-features = false, features = ["std", "flex", "ndarray"] }}

[dev-dependencies]
rand = "0.9"
rand_chacha = "0.9"
rand_distr = "0.5"
serde_json = "1"

[profile.dev]
debug = false
incremental = false
"#
    )
}

/// A folder of its own in the target directory that this test is in: `target/release/deps/outside`.
fn target_directory() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(3).expect("three folders above the test").join("outside")
}
