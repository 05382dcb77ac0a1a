//! Progress on stderr, and Ctrl-C.

use std::io::{IsTerminal, Write};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use slicegpt_core::Observer;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// The error that Ctrl-C causes.
#[derive(Debug)]
pub struct Interrupted;

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

/// Makes Ctrl-C (or SIGTERM) stop the work at the next batch, so that temporary files are removed;
/// a second one ends the process.
pub fn on_interrupt() {
    // Without a handler Ctrl-C ends the process at once, and a temporary directory is left behind.
    let _ = ctrlc::set_handler(|| {
        if INTERRUPTED.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
    });
}

/// Whether to continue: not after Ctrl-C.
pub fn going_on() -> ControlFlow<()> {
    if INTERRUPTED.load(Ordering::SeqCst) {
        ControlFlow::Break(())
    } else {
        ControlFlow::Continue(())
    }
}

/// [`going_on`], as an error.
pub fn check() -> Result<(), Interrupted> {
    if going_on().is_break() { Err(Interrupted) } else { Ok(()) }
}

/// A progress bar with an estimate of the time left; invisible unless stderr is a terminal.
pub struct Progress(ProgressBar);

impl Progress {
    /// Starts a bar of `steps` steps.
    pub fn start(title: &str, steps: usize) -> Self {
        let bar = ProgressBar::with_draw_target(Some(steps as u64), ProgressDrawTarget::stderr());
        let template = "{prefix:>12} {wide_bar} {pos}/{len}  {elapsed_precise} (ETA {eta}) {msg}";
        bar.set_style(ProgressStyle::with_template(template).expect("a valid template"));
        bar.set_prefix(title.to_string());
        Self(bar)
    }

    /// Continues the bar of work that was interrupted after `done` steps.
    pub fn resume(&self, done: usize) {
        self.0.set_position(done as u64);
        // Steps done before say nothing about the speed now.
        self.0.reset_eta();
    }

    /// [`note`], above the bar.
    pub fn note(&self, message: impl std::fmt::Display) {
        self.0.suspend(|| note(message));
    }

    /// Shows the current operation.
    pub fn message(&self, message: String) {
        self.0.set_message(message);
    }

    /// Removes the bar.
    pub fn finish(self) {
        self.0.finish_and_clear();
    }
}

/// A step advances the bar; Ctrl-C cancels.
impl Observer for Progress {
    fn step(&self) -> ControlFlow<()> {
        self.0.inc(1);
        going_on()
    }
}

/// A progress bar of a download; invisible unless stderr is a terminal.
pub struct Bytes(ProgressBar);

impl Bytes {
    /// Starts a bar for `file`, of which `from` bytes of `size` were downloaded before.
    pub fn start(file: &str, size: Option<u64>, from: u64) -> Self {
        let bar = ProgressBar::with_draw_target(size, ProgressDrawTarget::stderr());
        let template = "{prefix} {wide_bar} {bytes}/{total_bytes}  {bytes_per_sec} (ETA {eta})";
        bar.set_style(ProgressStyle::with_template(template).expect("a valid template"));
        bar.set_prefix(file.to_string());
        bar.set_position(from);
        // Bytes downloaded before say nothing about the speed now.
        bar.reset_eta();
        Self(bar)
    }

    /// Advances by some bytes; says whether to continue.
    pub fn advance(&self, bytes: u64) -> ControlFlow<()> {
        self.0.inc(bytes);
        going_on()
    }

    /// Removes the bar.
    pub fn finish(self) {
        self.0.finish_and_clear();
    }
}

/// A message for a person at a terminal; not shown elsewhere.
pub fn note(message: impl std::fmt::Display) {
    if std::io::stderr().is_terminal() {
        say(message);
    }
}

/// A warning: something is not as it was asked for.
pub fn warn(message: impl std::fmt::Display) {
    say(format_args!("warning: {message}"));
}

/// Writes a line to stderr. That this fails, on a full disk for instance, is no reason to stop: the
/// line is lost, and the work and the exit code are not.
pub fn say(message: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{message}");
}
