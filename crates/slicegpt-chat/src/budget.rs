//! [`Budget`]: how much work, memory and nesting a template may use.
//!
//! Templates come with checkpoints, which come from anywhere. Everything that a template can make
//! larger is checked here before it is made.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use crate::error::Error;

/// Steps of one evaluation. A step is an expression, a statement, an item of a list, or
/// `BYTES_PER_STEP` bytes of a text. A conversation of a thousand turns takes about 100 000.
pub const MAX_STEPS: u64 = 10_000_000;

/// Bytes of text that are made or read in one step.
pub const BYTES_PER_STEP: u64 = 32;

/// Bytes of a prompt, and of any text inside a template: 16 MiB.
pub const MAX_BYTES: usize = 16 << 20;

/// Items of a list or dict.
pub const MAX_ITEMS: usize = 1 << 20;

/// Levels of lists and dicts inside each other.
pub const MAX_VALUE_DEPTH: u32 = 200;

/// Values inside a value, counted as often as they would be printed.
pub const MAX_VALUE_SIZE: u64 = 1 << 22;

/// Levels of expressions, statements and calls of macros inside each other, while they run.
const MAX_DEPTH: u32 = 1000;

/// Steps between two checks whether an evaluation should stop.
const STEPS_PER_QUESTION: u64 = 1 << 12;

/// Whether an evaluation should stop, because its time is over or its result is no longer needed.
pub type Stop = Arc<dyn Fn() -> bool + Send + Sync>;

/// Something that a template can change after it was made, so that it may come to hold itself, or
/// others like it in an endless chain.
pub trait Kept {
    /// Gives up all that it holds.
    fn clear(&self);
}

/// What is left of an evaluation's work and nesting.
pub struct Budget {
    steps: Cell<u64>,
    depth: Cell<u32>,
    kept: RefCell<Vec<Rc<dyn Kept>>>,
    stop: Option<Stop>,
}

impl Budget {
    /// All of it; none is left once `stop` says so.
    pub fn new(stop: Option<Stop>) -> Self {
        let (steps, depth) = (Cell::new(MAX_STEPS), Cell::new(MAX_DEPTH));
        Self { steps, depth, kept: RefCell::default(), stop }
    }

    /// Keeps `value` until the end of the evaluation. Then all that is kept is cleared one after
    /// the other: chains are taken apart without recursion, and cycles are freed.
    pub fn keep(&self, value: Rc<dyn Kept>) -> Result<(), Error> {
        self.spend(8)?;
        self.kept.borrow_mut().push(value);
        Ok(())
    }

    /// Takes `steps`.
    pub fn spend(&self, steps: u64) -> Result<(), Error> {
        let before = self.steps.get();
        let left = before.checked_sub(steps).ok_or_else(|| {
            Error::new(format!("too much work: the template takes more than {MAX_STEPS} steps"))
        })?;
        if left / STEPS_PER_QUESTION != before / STEPS_PER_QUESTION
            && self.stop.as_ref().is_some_and(|stop| stop())
        {
            return Err(Error::new("too much work: the template takes too long".into()));
        }
        self.steps.set(left);
        Ok(())
    }

    /// Takes what a text of `bytes` costs, or refuses it. Called before the text is made.
    pub fn text(&self, bytes: usize) -> Result<(), Error> {
        if bytes > MAX_BYTES {
            let message = format!("text too long: more than {MAX_BYTES} bytes");
            return Err(Error::new(message));
        }
        self.spend(1 + bytes as u64 / BYTES_PER_STEP)
    }

    /// Takes what a list of `items` costs, or refuses it. Called before the list is made.
    pub fn list(&self, items: usize) -> Result<(), Error> {
        if items > MAX_ITEMS {
            return Err(Error::new(format!("list too long: more than {MAX_ITEMS} items")));
        }
        self.spend(1 + items as u64)
    }

    /// Enters one level of nesting, which ends when the result is dropped.
    pub fn enter(&self) -> Result<Level<'_>, Error> {
        let left = self.depth.get().checked_sub(1).ok_or_else(|| {
            Error::new("expressions and calls nested too deeply: they never end?".into())
        })?;
        self.depth.set(left);
        Ok(Level(self))
    }
}

/// One level of nesting.
pub struct Level<'a>(&'a Budget);

impl Drop for Level<'_> {
    fn drop(&mut self) {
        self.0.depth.set(self.0.depth.get() + 1);
    }
}

impl Drop for Budget {
    fn drop(&mut self) {
        self.kept.borrow().iter().for_each(|value| value.clear());
    }
}
