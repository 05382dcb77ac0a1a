//! [`Said`]: an observer that remembers what was said.

use std::sync::{Mutex, PoisonError};

use slicegpt_core::Observer;

/// Remembers the notes and warnings of a pass.
#[derive(Default)]
pub struct Said(Mutex<Vec<String>>);

impl Said {
    /// Everything that was said, in order, each with `note: ` or `warning: ` before it.
    pub fn messages(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn push(&self, message: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(message);
    }
}

impl Observer for Said {
    fn note(&self, message: &str) {
        self.push(format!("note: {message}"));
    }

    fn warn(&self, message: &str) {
        self.push(format!("warning: {message}"));
    }
}
