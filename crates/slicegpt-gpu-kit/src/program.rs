//! [`Program`]: runs the binary `slicegpt` with a time limit. It does not know what the
//! arguments mean.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use serde_json::Value;

use crate::Usage;
use crate::usage::{Counters, Sampler};

/// A program to run.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
}

/// The outcome of a run.
#[derive(Clone, Debug)]
pub struct Finished {
    /// How it ended; `None` if it was stopped for its time limit.
    pub status: Option<ExitStatus>,
    /// Its stdout.
    pub stdout: Vec<u8>,
    /// Its stderr.
    pub stderr: String,
    /// The resources it used.
    pub usage: Usage,
}

/// Number of lines of a program's messages that are kept.
const LAST_LINES: usize = 6;

/// Number of characters of them that are kept.
const LAST_CHARS: usize = 600;

/// Time between two checks of a running process.
const PAUSE: Duration = Duration::from_millis(20);

impl Program {
    /// The program at `path`.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Runs it with `args` for at most `limit`.
    ///
    /// # Errors
    ///
    /// If it cannot be started.
    pub fn run<S: AsRef<OsStr>>(&self, args: &[S], limit: Duration) -> Result<Finished> {
        self.run_watched(args, limit, None)
    }

    /// As [`Program::run`], and samples the counters of the device meanwhile.
    ///
    /// # Errors
    ///
    /// If it cannot be started.
    pub fn run_watched<S: AsRef<OsStr>>(
        &self,
        args: &[S],
        limit: Duration,
        counters: Option<&Counters>,
    ) -> Result<Finished> {
        let mut command = Command::new(&self.path);
        command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        ends_with_parent(&mut command);
        let began = Instant::now();
        let mut child =
            command.spawn().with_context(|| format!("cannot start {}", self.path.display()))?;
        let stdout = drain(child.stdout.take());
        let stderr = drain(child.stderr.take());
        let mut sampler = Sampler::new(child.id(), counters);
        let status = wait(&mut child, began + limit, &mut sampler)?;
        let mut usage = sampler.finish();
        usage.wall_seconds = began.elapsed().as_secs_f64();
        let text = |reader: thread::JoinHandle<Vec<u8>>| reader.join().unwrap_or_default();
        let (stdout, stderr) = (text(stdout), text(stderr));
        let stderr = String::from_utf8_lossy(&stderr).into_owned();
        Ok(Finished { status, stdout, stderr, usage })
    }

    /// What `slicegpt devices --json` prints.
    ///
    /// # Errors
    ///
    /// If it fails, or does not end within `limit`.
    pub fn devices(&self, limit: Duration) -> Result<Value> {
        let finished = self.run(&["devices", "--json"], limit)?;
        finished.json().map_err(|reason| anyhow!("slicegpt devices: {reason}"))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Finished {
    /// The JSON object on stdout, or the reason why there is none.
    ///
    /// # Errors
    ///
    /// A message for a reader if the program failed, was stopped, or printed something else.
    pub fn json(&self) -> Result<Value, String> {
        match self.status {
            Some(status) if status.success() => serde_json::from_slice(&self.stdout)
                .map_err(|error| format!("stdout is not a JSON object: {error}")),
            _ => Err(self.reason()),
        }
    }

    /// Why it failed.
    pub fn reason(&self) -> String {
        let said = self.said();
        match self.status {
            None => format!("stopped after {:.0} s: {said}", self.usage.wall_seconds),
            Some(status) => format!("{status}: {said}"),
        }
    }

    /// The last lines on stderr.
    pub fn said(&self) -> String {
        let lines: Vec<&str> = self.stderr.lines().filter(|line| !line.trim().is_empty()).collect();
        let text = lines[lines.len().saturating_sub(LAST_LINES)..].join("\n");
        let skip = text.chars().count().saturating_sub(LAST_CHARS);
        text.chars().skip(skip).collect()
    }
}

/// Arguments from words and paths.
pub fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

/// Waits for a process until `end`, then kills it. `None` if it was killed.
fn wait(child: &mut Child, end: Instant, sampler: &mut Sampler) -> Result<Option<ExitStatus>> {
    loop {
        sampler.look();
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= end {
            // It may have ended in between.
            let _ = child.kill();
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(PAUSE);
    }
}

fn drain(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // After an error, the bytes read so far are used.
        let _ = pipe.map(|mut pipe| pipe.read_to_end(&mut bytes));
        bytes
    })
}

/// Makes a child end with this process, on systems that support it, so that a stage that is killed
/// leaves nothing running on the device.
fn ends_with_parent(command: &mut Command) {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::process::CommandExt;
        // SAFETY: prctl is a system call: it takes no lock and allocates nothing.
        unsafe {
            command.pre_exec(|| {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                Ok(())
            });
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = command;
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn sh(script: &str, limit: Duration) -> Finished {
        Program::at("/bin/sh").run(&["-c", script], limit).unwrap()
    }

    #[test]
    fn a_run_gives_its_json_or_the_reason() {
        let long = Duration::from_secs(20);
        assert_eq!(sh("echo '{\"a\": 1}'", long).json().unwrap()["a"], 1);
        let failed = sh("echo one >&2; echo two >&2; exit 3", long).json().unwrap_err();
        assert!(failed.contains("3") && failed.ends_with("one\ntwo"), "{failed}");
        assert!(sh("echo text", long).json().unwrap_err().contains("not a JSON object"));
    }

    #[test]
    fn a_run_is_stopped_at_its_limit() {
        let finished = sh("echo begun >&2; exec sleep 30", Duration::from_millis(300));
        assert_eq!(finished.status, None);
        assert!(finished.usage.wall_seconds < 20.0);
        assert!(finished.reason().contains("begun"), "{}", finished.reason());
    }
}
