//! [`Cli`] runs the binary `slicegpt` as a user would; [`Run`] is what it printed.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

/// Far more than any command takes: one that reaches it hangs.
const TIMEOUT: Duration = Duration::from_secs(900);

/// A command line of `slicegpt` that has not been run yet.
pub struct Cli {
    command: Command,
    stdin: Option<String>,
}

impl Cli {
    /// `slicegpt` with the arguments in `words`, which are separated by white space.
    pub fn new(words: &str) -> Self {
        Self::from_command(Command::new(Self::program())).words(words)
    }

    /// Any other command that runs `slicegpt`, such as a shell that lowers limits first.
    pub fn from_command(command: Command) -> Self {
        Self { command, stdin: None }
    }

    /// The path of the binary that cargo built for the running tests.
    pub fn program() -> PathBuf {
        assert_cmd::cargo::cargo_bin("slicegpt")
    }

    /// Adds the arguments in `words`, which are separated by white space.
    pub fn words(self, words: &str) -> Self {
        self.args(words.split_whitespace())
    }

    /// Adds one argument as it is, such as a path or a text with spaces.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// Adds arguments as they are.
    pub fn args<T: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = T>) -> Self {
        self.command.args(args);
        self
    }

    /// Runs in this folder instead of the folder of the tests.
    pub fn current_dir(mut self, folder: impl AsRef<Path>) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Removes the inherited environment variables whose names `matches` accepts.
    pub fn without_env(mut self, matches: impl Fn(&str) -> bool) -> Self {
        let inherited = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        for name in inherited.filter(|name| matches(name)) {
            self.command.env_remove(name);
        }
        self
    }

    /// Writes `text` to standard input; without it, standard input is empty.
    pub fn stdin(mut self, text: impl Into<String>) -> Self {
        self.stdin = Some(text.into());
        self
    }

    /// Runs the command to its end, whatever its exit code is.
    ///
    /// # Panics
    ///
    /// If the command cannot be started, panics, or does not end.
    pub fn run(self) -> Run {
        let line = format!("{:?}", self.command);
        let mut command = assert_cmd::Command::from_std(self.command);
        command.timeout(TIMEOUT).write_stdin(self.stdin.unwrap_or_default());
        let output = command.output().unwrap_or_else(|e| panic!("{line}: {e}"));
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        assert!(!stderr.contains("panicked"), "{line}: {stderr}");
        Run { line, code: output.status.code(), stdout, stderr }
    }

    /// Runs the command, which must succeed.
    ///
    /// # Panics
    ///
    /// If it fails.
    pub fn succeed(self) -> Run {
        let run = self.run();
        assert_eq!(run.code, Some(0), "{}: {}", run.line, run.stderr);
        run
    }

    /// Runs the command with `--json`; it must succeed and print one JSON object.
    ///
    /// # Panics
    ///
    /// If it fails, or prints anything else.
    pub fn json(self) -> Value {
        self.arg("--json").succeed().json()
    }

    /// Runs the command, which must be refused with an error that contains all of `expected`.
    ///
    /// # Panics
    ///
    /// If it is not refused as every command should refuse: see [`Run::refusal_fault`].
    pub fn refuse(self, expected: &[&str]) -> Run {
        let run = self.run();
        if let Some(fault) = run.refusal_fault(expected) {
            panic!("{fault}");
        }
        run
    }

    /// Starts the command and does not wait for it; its standard output and error are pipes.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    pub fn start(mut self) -> Child {
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        self.command.spawn().unwrap_or_else(|e| panic!("{:?}: {e}", self.command))
    }
}

/// The exit code and the output of a command that has ended.
pub struct Run {
    line: String,
    /// The exit code; `None` if a signal ended the process.
    pub code: Option<i32>,
    /// Everything on standard output.
    pub stdout: String,
    /// Everything on standard error.
    pub stderr: String,
}

impl Run {
    /// The one JSON object on standard output.
    ///
    /// # Panics
    ///
    /// If there is anything else.
    pub fn json(&self) -> Value {
        let json: Value = serde_json::from_str(&self.stdout)
            .unwrap_or_else(|e| panic!("{}: {e}: {}", self.line, self.stdout));
        assert!(json.is_object(), "{}: {json}", self.line);
        json
    }

    /// What is wrong with the way the command refused to work, or `None`.
    ///
    /// A refusal has exit code 2, nothing on standard output, and one line on standard error that
    /// starts with `error: ` and contains all of `expected`. Warnings may come before it. Errors
    /// of the argument parser may have more lines.
    pub fn refusal_fault(&self, expected: &[&str]) -> Option<String> {
        let lines: Vec<&str> =
            self.stderr.lines().skip_while(|line| line.starts_with("warning: ")).collect();
        let is_usage = lines.last() == Some(&"For more information, try '--help'.");
        let error = lines.join("\n");
        let missing: Vec<_> = expected.iter().filter(|words| !error.contains(*words)).collect();
        let fault = if self.code != Some(2) {
            format!("exit code {:?} instead of 2", self.code)
        } else if !error.starts_with("error: ") || (lines.len() > 1 && !is_usage) {
            "the error is not one line".into()
        } else if error.contains("internal error") {
            "an internal error".into()
        } else if !missing.is_empty() {
            format!("the error does not contain {missing:?}")
        } else if !self.stdout.is_empty() {
            "something was printed on standard output".into()
        } else {
            return None;
        };
        Some(format!("{}: {fault}\n{}", self.line, self.stderr))
    }
}
