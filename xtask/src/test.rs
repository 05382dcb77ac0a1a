//! `cargo xtask test`: everything a commit must pass, the cheapest check first.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::tidy;
use crate::workspace::{DEVICE_FEATURES, Workspace, cargo};

/// Everything a commit must pass, the cheapest check first: format, tidy, clippy, tests, docs.
///
/// With `--device`, only the tests of devices, on that device: built with its cargo feature, in a
/// separate target directory.
///
/// With `--reference`, also the tests that compare with the reference implementation.
#[derive(clap::Args)]
pub struct Args {
    /// Test this device instead: wgpu, vulkan, metal or cuda, with `:i` for number i.
    #[arg(long)]
    device: Option<String>,
    /// Also run the tests that need the models and results of the reference implementation, which
    /// this folder holds.
    #[arg(long, value_name = "DIR", env = "SLICEGPT_REFERENCE")]
    reference: Option<PathBuf>,
    /// Instead call every reader of files with mutated files, each for so many seconds.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "60")]
    fuzz: Option<u64>,
    /// Passed to `cargo test` as they are, such as a test's name.
    #[arg(last = true)]
    args: Vec<OsString>,
}

/// A check and the cargo command that runs it; `None` is tidy, which runs in this process.
struct Step {
    name: &'static str,
    command: Option<Command>,
}

pub fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    if let Some(seconds) = args.fuzz {
        return fuzz(workspace, seconds);
    }
    let began = Instant::now();
    let steps = match &args.device {
        None => steps(workspace, args),
        Some(device) => device_steps(workspace, args, device)?,
    };
    let count = steps.len();
    for (index, Step { name, command }) in steps.into_iter().enumerate() {
        let line = command.as_ref().map_or_else(|| "cargo xtask tidy".to_owned(), spelled);
        println!("\n== {}/{count} {name}: {line}", index + 1);
        let step_began = Instant::now();
        let passed = match command {
            None => tidy::report(workspace)?,
            Some(mut command) => {
                command.status().context("cannot start cargo; set CARGO to its path")?.success()
            }
        };
        println!("== {name}: {:.1} s", step_began.elapsed().as_secs_f64());
        if !passed {
            eprintln!("\nerror: {name} failed; run it alone with: {line}");
            return Ok(ExitCode::FAILURE);
        }
    }
    println!("\n== all {count} checks passed in {:.1} s", began.elapsed().as_secs_f64());
    Ok(ExitCode::SUCCESS)
}

/// Calls every reader with mutated files; those that one does not survive stay in the target
/// folder.
fn fuzz(workspace: &Workspace, seconds: u64) -> Result<ExitCode> {
    let program = workspace.build("slicegpt-fuzz")?;
    let mut command = Command::new(program);
    command.args(["run", "--seconds", &seconds.to_string(), "--fixtures"]);
    command.arg(workspace.root.join("fixtures")).arg("--out");
    command.arg(workspace.target_dir.join("fuzz"));
    let passed = command.status().context("cannot start slicegpt-fuzz")?.success();
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn steps(workspace: &Workspace, args: &Args) -> Vec<Step> {
    let cargo = |line: &str| {
        let mut command = cargo();
        command.current_dir(&workspace.root).args(line.split(' '));
        command
    };
    let format = cargo("fmt --all --check");
    // Registries take what `cargo package` makes; the code in it is compiled by the other checks.
    let mut package = cargo("package --quiet --no-verify --allow-dirty");
    let published = workspace.packages.iter().filter(|package| package.is_published);
    package.args(published.flat_map(|published| ["--package", &published.name]));
    let clippy = cargo("clippy --release --workspace --all-targets -- -D warnings");
    // Documentation examples are among the tests: plain `cargo test` runs every kind.
    let mut tests = cargo("test --release --workspace");
    pass_on(&mut tests, args);
    let mut docs = cargo("doc --release --workspace --no-deps");
    docs.env("RUSTDOCFLAGS", "-D warnings");
    vec![
        Step { name: "format", command: Some(format) },
        Step { name: "tidy", command: None },
        Step { name: "package", command: Some(package) },
        Step { name: "clippy", command: Some(clippy) },
        Step { name: "tests", command: Some(tests) },
        Step { name: "docs", command: Some(docs) },
    ]
}

/// Adds what the user passes to `cargo test`, and the tests that need the reference models.
fn pass_on(tests: &mut Command, args: &Args) {
    tests.args(&args.args);
    if let Some(folder) = &args.reference {
        tests.env("SLICEGPT_REFERENCE", folder);
        if !args.args.iter().any(|arg| arg == "--") {
            tests.arg("--");
        }
        tests.arg("--include-ignored");
    }
}

/// Test targets that read the environment variable `SLICEGPT_DEVICE`.
const DEVICE_TESTS: &[&str] =
    &["bench", "covariance", "device", "device_serve", "generate", "moments", "precise", "tasks"];

fn device_steps(workspace: &Workspace, args: &Args, device: &str) -> Result<Vec<Step>> {
    let feature = device.split(':').next().unwrap_or_default();
    if !DEVICE_FEATURES.contains(&feature) {
        bail!("--device {device}: use {}, with :i for a number", DEVICE_FEATURES.join(", "));
    }
    let mut tests = cargo();
    tests.current_dir(&workspace.root);
    tests.args(["test", "--release", "--workspace", "--features", feature]);
    DEVICE_TESTS.iter().for_each(|test| {
        tests.args(["--test", test]);
    });
    pass_on(&mut tests, args);
    // Another set of features would rebuild Burn where the default one was built.
    tests.env("CARGO_TARGET_DIR", workspace.target_dir_with(&[feature.to_owned()]));
    tests.env("SLICEGPT_DEVICE", device);
    Ok(vec![Step { name: "device tests", command: Some(tests) }])
}

/// The command as it is typed in a shell.
fn spelled(command: &Command) -> String {
    let variables = command.get_envs().filter_map(|(name, value)| {
        Some(format!("{}=\"{}\" ", name.to_string_lossy(), value?.to_string_lossy()))
    });
    let args = command.get_args().map(|arg| format!(" {}", arg.to_string_lossy()));
    variables.chain(["cargo".to_owned()]).chain(args).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_tested_with_its_feature() {
        let workspace = Workspace::load().unwrap();
        let args = args(None, &[]);
        let steps = device_steps(&workspace, &args, "wgpu:1").unwrap();
        let line = spelled(steps[0].command.as_ref().unwrap());
        for words in ["--features wgpu", "SLICEGPT_DEVICE=\"wgpu:1\"", "-wgpu\"", "--test device"] {
            assert!(line.contains(words), "{line}");
        }
        assert!(device_steps(&workspace, &args, "cpu").is_err());
    }

    fn args(reference: Option<&str>, args: &[&str]) -> Args {
        let reference = reference.map(PathBuf::from);
        Args {
            device: None,
            fuzz: None,
            reference,
            args: args.iter().map(OsString::from).collect(),
        }
    }

    #[test]
    fn reference_models_add_the_ignored_tests() {
        for (given, expected) in [
            (&[][..], "-- --include-ignored"),
            (&["golden"], "golden -- --include-ignored"),
            (&["--", "--nocapture"], "-- --nocapture --include-ignored"),
        ] {
            let mut tests = cargo();
            pass_on(&mut tests, &args(Some("models"), given));
            let line = spelled(&tests);
            assert_eq!(line, format!("SLICEGPT_REFERENCE=\"models\" cargo {expected}"));
            let mut tests = cargo();
            pass_on(&mut tests, &args(None, given));
            assert!(!spelled(&tests).contains("--include-ignored"));
        }
    }

    #[test]
    fn a_step_is_spelled_as_it_is_typed() {
        let mut command = cargo();
        command.env("RUSTDOCFLAGS", "-D warnings").args(["doc", "--no-deps"]);
        assert_eq!(spelled(&command), "RUSTDOCFLAGS=\"-D warnings\" cargo doc --no-deps");
    }
}
