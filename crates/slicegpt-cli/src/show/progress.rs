//! Progress on stderr, and Ctrl-C.

use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// The user pressed Ctrl-C.
#[derive(Debug)]
pub struct Interrupted;

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

/// From now on, Ctrl-C (or SIGTERM) stops the work at the next batch, so that temporary files are
/// removed; a second one ends the process.
pub fn on_interrupt() {
    // Without a handler Ctrl-C still ends the process, and a temporary directory stays behind.
    let _ = ctrlc::set_handler(|| {
        if INTERRUPTED.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
    });
}

/// Whether to go on.
pub fn going_on() -> ControlFlow<()> {
    match INTERRUPTED.load(Ordering::SeqCst) {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    }
}

/// [`going_on`], as an error.
pub fn check() -> Result<(), Interrupted> {
    if going_on().is_break() { Err(Interrupted) } else { Ok(()) }
}

/// A bar of `steps` steps with an estimate of what is left; invisible unless stderr is a terminal.
pub struct Progress(ProgressBar);

impl Progress {
    /// Starts a bar.
    pub fn start(title: &str, steps: usize) -> Self {
        let bar = ProgressBar::with_draw_target(Some(steps as u64), ProgressDrawTarget::stderr());
        let template = "{prefix:>12} {wide_bar} {pos}/{len}  {elapsed_precise} (ETA {eta}) {msg}";
        bar.set_style(ProgressStyle::with_template(template).expect("a valid template"));
        bar.set_prefix(title.to_string());
        Self(bar)
    }

    /// One step further; whether to go on.
    pub fn tick(&self) -> ControlFlow<()> {
        self.advance(1)
    }

    /// Some steps further; whether to go on.
    pub fn advance(&self, steps: usize) -> ControlFlow<()> {
        self.0.inc(steps as u64);
        going_on()
    }

    /// What is being done.
    pub fn message(&self, message: String) {
        self.0.set_message(message);
    }

    /// The work is done.
    pub fn finish(self) {
        self.0.finish_and_clear();
    }
}

/// A bar of the bytes of a file on its way here; invisible unless stderr is a terminal.
pub struct Bytes(ProgressBar);

impl Bytes {
    /// Starts a bar for `file`, of which `from` bytes are here, of `size` if that is known.
    pub fn start(file: &str, size: Option<u64>, from: u64) -> Self {
        let bar = ProgressBar::with_draw_target(size, ProgressDrawTarget::stderr());
        let template = "{prefix} {wide_bar} {bytes}/{total_bytes}  {bytes_per_sec} (ETA {eta})";
        bar.set_style(ProgressStyle::with_template(template).expect("a valid template"));
        bar.set_prefix(file.to_string());
        bar.set_position(from);
        // What came before is no measure of how fast the rest comes.
        bar.reset_eta();
        Self(bar)
    }

    /// So many bytes more; whether to go on.
    pub fn advance(&self, bytes: u64) -> ControlFlow<()> {
        self.0.inc(bytes);
        going_on()
    }

    /// The file is here.
    pub fn finish(self) {
        self.0.finish_and_clear();
    }
}

/// A message that only a person watching wants.
pub fn note(message: impl std::fmt::Display) {
    if std::io::stderr().is_terminal() {
        eprintln!("{message}");
    }
}

/// A message that matters: something is not as it was asked for.
pub fn warn(message: impl std::fmt::Display) {
    eprintln!("warning: {message}");
}
