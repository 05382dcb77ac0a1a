//! [`Observer`]: how a caller follows a long computation and cancels it. It knows no terminal.

use std::ops::ControlFlow;

/// Receives the progress of a long computation, and may cancel it.
///
/// Every method has a default that does nothing, so an implementation overrides only what it needs.
/// The methods take `&self` and may be called from several threads.
///
/// # Example
///
/// Cancel after a hundred steps:
///
/// ```
/// use std::ops::ControlFlow;
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// use slicegpt_core::Observer;
///
/// struct AtMost(usize, AtomicUsize);
///
/// impl Observer for AtMost {
///     fn step(&self) -> ControlFlow<()> {
///         let done = self.1.fetch_add(1, Ordering::Relaxed) + 1;
///         if done < self.0 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
///     }
/// }
///
/// let observer = AtMost(100, AtomicUsize::new(0));
/// assert!(observer.step().is_continue());
/// ```
pub trait Observer: Send + Sync {
    /// A stage of `steps` steps of about equal cost begins; it replaces the stage before it.
    fn begin(&self, stage: &str, steps: usize) {
        let _ = (stage, steps);
    }

    /// What is being computed, for a display of progress and for errors of a device: "block 3/22".
    fn at(&self, what: &str) {
        let _ = what;
    }

    /// One step is done. [`ControlFlow::Break`] cancels the computation, which then returns an
    /// error.
    fn step(&self) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    /// The stage is complete.
    fn end(&self) {}

    /// An informational message, for a person who watches.
    fn note(&self, message: &str) {
        let _ = message;
    }

    /// A warning: something differs from what was asked for.
    fn warn(&self, message: &str) {
        let _ = message;
    }
}

/// The observer that ignores everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl Observer for Unobserved {}
