//! `cargo xtask cases`: runs scripts that show faults, and says which of them are mended.

mod check;
mod expected;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::workspace::Workspace;
use check::{Case, Need, peak_mb, problems};
use expected::CASES;

/// Runs every NAME/repro.sh and hostile/NAME/repro.sh below a folder with the binary, and compares
/// the outputs with the table in xtask/src/cases/expected.rs. A line per case; the exit code is 1
/// if any fails. A case that has no row in the table fails.
///
/// A script NAME/repro.sh is given the binary and an empty folder. One of hostile/ reads them from
/// SLICEGPT and TMPDIR, and the model from MODEL. Both find the fixtures in FIXTURES and a Python
/// in PY. Cases whose programs or Python modules are missing here are not run.
#[derive(clap::Args)]
pub struct Args {
    /// The folder of the cases.
    dir: PathBuf,
    /// The binary [default: build it]
    #[arg(long, value_name = "PROGRAM")]
    binary: Option<PathBuf>,
    /// The Python of cases that compare with other libraries.
    #[arg(long, value_name = "PROGRAM", env = "PY", default_value = "python3")]
    python: String,
    /// Runs only cases whose name contains this.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// The time of one case.
    #[arg(long, value_name = "SECONDS", default_value_t = 90)]
    time: u64,
    /// Prints the output of every case, not only of those that fail.
    #[arg(long)]
    show: bool,
}

/// What a script wrote, and how it ended.
struct Outcome {
    output: String,
    seconds: f64,
    /// Whether it was killed because its time was over.
    killed: bool,
}

pub fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    let names = names(&args.dir)?;
    let wanted = |name: &&String| args.only.as_ref().is_none_or(|text| name.contains(text));
    let names: Vec<&String> = names.iter().filter(wanted).collect();
    ensure!(!names.is_empty(), "{}: no case of this name is there", args.dir.display());
    let binary = match &args.binary {
        Some(binary) => fs::canonicalize(binary)
            .with_context(|| format!("--binary {}: no such program", binary.display()))?,
        None => workspace.build("slicegpt")?,
    };
    println!("{:<44} {:>8} {:>8} {:>8}", "case", "result", "seconds", "peak MB");
    let (mut failed, mut skipped) = (0, 0);
    for name in &names {
        let Some(case) = CASES.iter().find(|case| case.name == *name) else {
            println!("{name:<44} {:>8}", "FAILED");
            println!("    it has no row in the table of expectations");
            failed += 1;
            continue;
        };
        if let Some(need) = case.needs.iter().find(|need| !need.is_met(&args.python)) {
            println!("{name:<44} {:>8}    {need}", "not run");
            skipped += 1;
            continue;
        }
        let outcome = execute(workspace, args, &binary, name)?;
        failed += usize::from(report(args, case, &outcome));
    }
    println!("{} cases: {failed} failed, {skipped} were not run", names.len());
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints the line of a case; true if it failed.
fn report(args: &Args, case: &Case, outcome: &Outcome) -> bool {
    let mut problems = problems(case, &outcome.output);
    if outcome.killed {
        problems.push(format!("it was killed after {} s", args.time));
    }
    let peak = peak_mb(&outcome.output).map_or("-".to_owned(), |peak| peak.to_string());
    let word = if problems.is_empty() { "ok" } else { "FAILED" };
    println!("{:<44} {word:>8} {:>8.1} {peak:>8}", case.name, outcome.seconds);
    for problem in &problems {
        println!("    {problem}");
    }
    if args.show || !problems.is_empty() {
        for line in outcome.output.lines() {
            println!("    | {}", line.chars().take(400).collect::<String>());
        }
    }
    !problems.is_empty()
}

/// The names of the cases below `dir`, in order.
fn names(dir: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for prefix in ["", "hostile/"] {
        let folder = dir.join(prefix);
        if !prefix.is_empty() && !folder.is_dir() {
            continue;
        }
        let entries =
            fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry?;
            if entry.path().join("repro.sh").is_file() {
                found.push(format!("{prefix}{}", entry.file_name().to_string_lossy()));
            }
        }
        found.sort();
        names.append(&mut found);
    }
    Ok(names)
}

/// Runs a script in its own group of processes, in an empty folder, within the time.
fn execute(workspace: &Workspace, args: &Args, binary: &Path, name: &str) -> Result<Outcome> {
    let work = tempfile::Builder::new().prefix("slicegpt-cases-").tempdir()?;
    let written = work.path().join("output.txt");
    let folder = work.path().join("work");
    fs::create_dir(&folder)?;
    let file = File::create(&written)?;
    let script = fs::canonicalize(args.dir.join(name).join("repro.sh"))?;
    let fixtures = workspace.root.join("fixtures");
    let mut command = Command::new("bash");
    command
        .arg(&script)
        .current_dir(work.path())
        .env("SLICEGPT", binary)
        .env("MODEL", fixtures.join("models/ts-llama3-gqa"))
        .env("FIXTURES", &fixtures)
        .env("PY", &args.python)
        .env("HF_HUB_OFFLINE", "1")
        .env("TMPDIR", &folder)
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file);
    if !name.contains('/') {
        command.arg(binary).arg(&folder);
    }
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let start = Instant::now();
    let mut child = command.spawn().context("cannot start bash")?;
    let mut killed = false;
    while child.try_wait()?.is_none() {
        if start.elapsed() > Duration::from_secs(args.time) && !killed {
            killed = true;
            // The whole group: the script, and what it started.
            let group = format!("-{}", child.id());
            Command::new("kill").args(["-KILL", "--", &group]).status()?;
        }
        sleep(Duration::from_millis(20));
    }
    let seconds = start.elapsed().as_secs_f64();
    let output = String::from_utf8_lossy(&fs::read(&written)?).into_owned();
    Ok(Outcome { output, seconds, killed })
}

impl Need {
    /// Whether this machine has it; `python` is the Python that would run the case.
    fn is_met(self, python: &str) -> bool {
        let succeeds = |program: &str, arguments: &[&str]| {
            let mut command = Command::new(program);
            command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        match self {
            Self::Program(program) => succeeds("sh", &["-c", &format!("command -v {program}")]),
            Self::Module(module) => succeeds(python, &["-c", &format!("import {module}")]),
            Self::Root => succeeds("sh", &["-c", "test \"$(id -u)\" = 0"]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_are_found_in_both_folders() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b", "a", "hostile/c", "other/d", "empty"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
            if name != "empty" {
                fs::write(folder.path().join(name).join("repro.sh"), "").unwrap();
            }
        }
        assert_eq!(names(folder.path()).unwrap(), ["a", "b", "hostile/c"]);
        assert!(names(&folder.path().join("nowhere")).is_err());
    }

    #[test]
    fn every_case_has_one_row() {
        for (index, case) in CASES.iter().enumerate() {
            assert!(!case.checks.is_empty(), "{}", case.name);
            assert!(CASES[..index].iter().all(|other| other.name != case.name), "{}", case.name);
        }
    }
}
