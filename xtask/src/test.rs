//! `cargo xtask test`: everything a commit must pass, the cheapest check first.

use std::ffi::OsString;
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::tidy;
use crate::workspace::{DEVICE_FEATURES, Workspace, cargo};

/// Everything a commit must pass, the cheapest check first: format, tidy, clippy, tests, docs.
///
/// With `--device`, the tests that are about devices, on that one: built with its cargo feature, in
/// a target directory of its own.
#[derive(clap::Args)]
pub struct Args {
    /// Test this device instead: wgpu, vulkan, metal or cuda, with `:i` for number i.
    #[arg(long)]
    device: Option<String>,
    /// Passed to `cargo test` as they are, such as a test's name.
    #[arg(last = true)]
    args: Vec<OsString>,
}

/// A check: its name, and the cargo command it is; `None` is tidy, which runs in this process.
struct Step {
    name: &'static str,
    command: Option<Command>,
}

pub fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
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

fn steps(workspace: &Workspace, args: &Args) -> Vec<Step> {
    let cargo = |line: &str| {
        let mut command = cargo();
        command.current_dir(&workspace.root).args(line.split(' '));
        command
    };
    let format = cargo("fmt --all --check");
    let clippy = cargo("clippy --release --workspace --all-targets -- -D warnings");
    // Documentation examples are among the tests: plain `cargo test` runs every kind.
    let mut tests = cargo("test --release --workspace");
    tests.args(&args.args);
    let mut docs = cargo("doc --release --workspace --no-deps");
    docs.env("RUSTDOCFLAGS", "-D warnings");
    vec![
        Step { name: "format", command: Some(format) },
        Step { name: "tidy", command: None },
        Step { name: "clippy", command: Some(clippy) },
        Step { name: "tests", command: Some(tests) },
        Step { name: "docs", command: Some(docs) },
    ]
}

/// Test targets that ask the environment variable `SLICEGPT_DEVICE` what to test.
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
    tests.args(&args.args);
    // Another set of features would rebuild Burn where the default one was built.
    tests.env("CARGO_TARGET_DIR", workspace.target_dir_with(&[feature.to_owned()]));
    tests.env("SLICEGPT_DEVICE", device);
    Ok(vec![Step { name: "device tests", command: Some(tests) }])
}

/// The command as one types it.
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
        let args = Args { device: None, args: Vec::new() };
        let steps = device_steps(&workspace, &args, "wgpu:1").unwrap();
        let line = spelled(steps[0].command.as_ref().unwrap());
        for words in ["--features wgpu", "SLICEGPT_DEVICE=\"wgpu:1\"", "-wgpu\"", "--test device"] {
            assert!(line.contains(words), "{line}");
        }
        assert!(device_steps(&workspace, &args, "cpu").is_err());
    }

    #[test]
    fn a_step_is_spelled_as_it_is_typed() {
        let mut command = cargo();
        command.env("RUSTDOCFLAGS", "-D warnings").args(["doc", "--no-deps"]);
        assert_eq!(spelled(&command), "RUSTDOCFLAGS=\"-D warnings\" cargo doc --no-deps");
    }
}
