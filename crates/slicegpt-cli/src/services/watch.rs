//! [`Watch`]: shows a long computation of a library on the terminal, and stops it on Ctrl-C.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use slicegpt_core::Observer;

use crate::services::device::{Operation, Target};
use crate::show::progress::{self, Progress, going_on};

/// Shows progress as a bar, and keeps the current operation for error messages of the device.
pub struct Watch {
    operation: Operation,
    bar: Mutex<Option<Progress>>,
}

impl Watch {
    /// Shows work on `target`.
    pub fn new(target: &Target) -> Arc<Self> {
        Arc::new(Self { operation: target.operation(), bar: Mutex::default() })
    }

    fn replace(&self, bar: Option<Progress>) {
        let mut shown = self.bar.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shown) = std::mem::replace(&mut *shown, bar) {
            shown.finish();
        }
    }

    fn with_bar<T>(&self, use_it: impl FnOnce(&Progress) -> T) -> Option<T> {
        self.bar.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(use_it)
    }
}

impl Observer for Watch {
    fn begin(&self, stage: &str, steps: usize) {
        self.replace(Some(Progress::start(stage, steps)));
    }

    fn at(&self, what: &str) {
        self.operation.set(what.into());
        self.with_bar(|bar| bar.message(what.into()));
    }

    fn step(&self) -> ControlFlow<()> {
        self.with_bar(Progress::step).unwrap_or_else(going_on)
    }

    fn end(&self) {
        self.replace(None);
    }

    fn note(&self, message: &str) {
        progress::note(message);
    }

    fn warn(&self, message: &str) {
        progress::warn(message);
    }
}
