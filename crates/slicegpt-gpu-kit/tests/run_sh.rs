//! `run.sh` with a stand-in for the stages: time limits, stages that fail or hang, a run that is
//! killed.

#![cfg(unix)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

use slicegpt_gpu_kit::{Line, Results, Status};
use tempfile::TempDir;

/// A stage prints a line, and another when it ends; `precision` fails, `families` takes long,
/// `methods` needs half a minute to be left.
const STAND_IN: &str = r#"#!/bin/sh
case $1 in
    plan) echo "devices 20 1"; echo "precision 20 1"; echo "families 3 1"; echo "methods 20 30" ;;
    pick) echo "wgpu:0" ;;
    stage)
        echo "{\"kind\":\"fact\",\"name\":\"begun\",\"value\":\"$2\"}"
        case $2 in
            precision) echo "a reason" >&2; exit 2 ;;
            families) exec sleep "$FAMILIES" ;;
        esac
        echo "{\"kind\":\"fact\",\"name\":\"ended\",\"value\":\"$2\"}" ;;
    *) exec "$KIT" "$@" ;;
esac
"#;

/// An unpacked kit whose stages are a stand-in that does almost nothing.
fn kit() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let bin = folder.path().join("bin");
    fs::create_dir(&bin).unwrap();
    let program = bin.join("slicegpt-gpu-kit");
    fs::write(&program, STAND_IN).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(folder.path().join("kit.json"), "{\"commit\": \"abc\"}").unwrap();
    fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("run.sh"), folder.path().join("run.sh"))
        .unwrap();
    folder
}

/// `run.sh` with an environment that holds only the variables of the stand-in.
fn command(kit: &Path, families: &str, args: &[&str]) -> Command {
    let mut command = Command::new("/bin/sh");
    command.arg(kit.join("run.sh")).args(args).env_clear();
    command.env("KIT", env!("CARGO_BIN_EXE_slicegpt-gpu-kit")).env("FAMILIES", families);
    command
}

fn results(kit: &Path) -> Results {
    Results::read(&kit.join("results/results.json")).unwrap()
}

fn statuses(results: &Results) -> Vec<(&str, Status)> {
    results.stages.iter().map(|stage| (stage.name.as_str(), stage.status)).collect()
}

#[track_caller]
fn assert_ran(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Checks that the run ended by itself and reports problems.
#[track_caller]
fn assert_found_problems(output: &Output) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("problem"), "{errors}");
}

#[test]
fn stages_that_fail_or_hang_do_not_end_a_run() {
    let kit = kit();
    let began = Instant::now();
    assert_found_problems(&command(kit.path(), "60", &["--minutes", "1"]).output().unwrap());
    assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
    let results = results(kit.path());
    assert_eq!(
        statuses(&results),
        [
            ("devices", Status::Done),
            ("precision", Status::Failed),
            ("families", Status::TimedOut),
            ("methods", Status::Done),
        ]
    );
    assert_eq!(results.stages[1].reason.as_deref(), Some("a reason"));
    assert_eq!(results.device, "wgpu:0");
    assert_eq!(results.kit["commit"], "abc");
    // The results from before it was stopped are kept.
    let begun = Line::Fact { name: "begun".into(), value: "families".into() };
    assert_eq!(results.stages[2].lines, [begun]);
    assert!(kit.path().join("results/results.md").is_file());
    assert!(!kit.path().join("scratch").exists());
}

#[test]
fn a_short_run_skips_what_does_not_fit() {
    let kit = kit();
    // There is time for every stage but the last, on a busy machine too.
    assert_found_problems(&command(kit.path(), "0", &["--minutes", "0.5"]).output().unwrap());
    let results = results(kit.path());
    let last = results.stages.last().unwrap();
    assert_eq!(last.status, Status::Skipped, "{:?}", statuses(&results));
    assert!(last.reason.as_deref().unwrap().contains("were left"), "{last:?}");
    let chosen = ["--minutes", "1", "--stages", "methods"];
    assert_ran(&command(kit.path(), "60", &chosen).output().unwrap());
    assert_eq!(statuses(&self::results(kit.path())), [("methods", Status::Done)]);
}

/// Starts a run, and waits until its third stage has begun.
fn in_its_third_stage(kit: &Path) -> Child {
    let child = command(kit, "30", &["--minutes", "6"]).spawn().unwrap();
    let part: PathBuf = kit.join("results/families.part");
    let began = Instant::now();
    while !fs::read_to_string(&part).is_ok_and(|text| text.ends_with('\n')) {
        assert!(began.elapsed() < Duration::from_secs(30), "no third stage");
        std::thread::sleep(Duration::from_millis(20));
    }
    child
}

#[test]
fn a_run_that_is_killed_leaves_what_had_ended() {
    let kit = kit();
    let mut child = in_its_third_stage(kit.path());
    child.kill().unwrap();
    child.wait().unwrap();
    let results = results(kit.path());
    assert_eq!(statuses(&results), [("devices", Status::Done), ("precision", Status::Failed)]);
    // The results of the third stage can be added afterwards.
    let mut assemble = Command::new(env!("CARGO_BIN_EXE_slicegpt-gpu-kit"));
    assert_ran(&assemble.arg("assemble").arg(kit.path().join("results")).output().unwrap());
    let results = self::results(kit.path());
    assert_eq!(results.stages[2].status, Status::CutOff);
    assert_eq!(results.stages[2].lines.len(), 1);
}

#[test]
fn a_run_that_is_interrupted_says_how_far_it_came() {
    let kit = kit();
    let mut child = in_its_third_stage(kit.path());
    // SAFETY: a signal to a child that was not waited for.
    unsafe { libc::kill(child.id() as i32, libc::SIGTERM) };
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let results = results(kit.path());
    assert_eq!(results.stages[2].status, Status::CutOff);
}

#[test]
fn wrong_options_are_refused() {
    let kit = kit();
    for args in [&["--minutes"][..], &["--what"]] {
        let output = command(kit.path(), "1", args).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("usage"), "{args:?}");
    }
}
