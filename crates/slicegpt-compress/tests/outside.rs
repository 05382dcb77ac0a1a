//! A program outside this workspace, with path dependencies, builds and compresses a decoder of its
//! own.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What the program depends on.
const CRATES: &[&str] = &[
    "slicegpt-core",
    "slicegpt-invariance",
    "slicegpt-slice",
    "slicegpt-eval",
    "slicegpt-compress",
];

#[test]
fn a_program_outside_the_workspace_compresses_its_own_decoder() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let project = tempfile::tempdir().unwrap();
    let manifest = project.path().join("Cargo.toml");
    let main = include_str!("../examples/custom_decoder.rs");
    std::fs::create_dir(project.path().join("src")).unwrap();
    std::fs::write(project.path().join("src/main.rs"), main).unwrap();
    std::fs::write(&manifest, cargo_toml(&workspace)).unwrap();
    // The versions that the workspace is built with, so that nothing is looked up.
    std::fs::copy(workspace.join("Cargo.lock"), project.path().join("Cargo.lock")).unwrap();

    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["run", "--release", "--offline", "--quiet", "--manifest-path"]).arg(&manifest);
    // In the target directory of this test, where the dependencies are built already.
    command.arg("--target-dir").arg(target_directory());
    command.current_dir(project.path());
    let output = command.output().unwrap();
    let [said, errors] =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success(), "{said}\n{errors}");
    assert_eq!(said.lines().filter(|line| line.contains("KL")).count(), 2, "{said}");
    assert!(said.contains("the refit takes away"), "{said}");
}

fn cargo_toml(workspace: &Path) -> String {
    let dependency = |name: &&str| {
        let path = workspace.join("crates").join(name);
        format!("{name} = {{ path = {:?} }}\n", path.display().to_string())
    };
    let dependencies: String = CRATES.iter().map(dependency).collect();
    format!(
        "[package]\nname = \"outside\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
         [dependencies]\n{dependencies}\
         burn = {{ version = \"0.22.1\", default-features = false, \
         features = [\"std\", \"flex\", \"simd\", \"rayon\", \"x86-v4\"] }}\n"
    )
}

/// The target directory that this test is in: `target/release/deps/outside-...`.
fn target_directory() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(3).expect("three folders above the test").to_path_buf()
}
