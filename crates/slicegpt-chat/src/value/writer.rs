//! [`Writer`]: a text that grows within the budget.

use crate::budget::{BYTES_PER_STEP, Budget, MAX_BYTES};
use crate::error::{Error, Result};

/// A text that grows within the budget.
pub struct Writer<'a> {
    text: String,
    budget: &'a Budget,
    /// Bytes that are not paid for yet.
    unpaid: usize,
    what: &'static str,
}

impl<'a> Writer<'a> {
    /// Without text.
    pub fn new(budget: &'a Budget) -> Self {
        Self::of("text", budget)
    }

    /// Without text; errors say that `what` is too long.
    pub fn of(what: &'static str, budget: &'a Budget) -> Self {
        Self { text: String::new(), budget, unpaid: 0, what }
    }

    /// Adds `text`.
    pub fn push(&mut self, text: &str) -> Result<()> {
        self.reserve(text.len())?;
        self.text.push_str(text);
        Ok(())
    }

    /// Adds `count` times `text`.
    pub fn repeat(&mut self, text: &str, count: usize) -> Result<()> {
        self.reserve(text.len().saturating_mul(count))?;
        for _ in 0..count * usize::from(!text.is_empty()) {
            self.text.push_str(text);
        }
        Ok(())
    }

    fn reserve(&mut self, bytes: usize) -> Result<()> {
        if bytes > MAX_BYTES - self.text.len() {
            let what = self.what;
            return Err(Error::new(format!("{what} too long: more than {MAX_BYTES} bytes")));
        }
        // An empty text costs something too.
        self.unpaid += bytes + 1;
        if self.unpaid as u64 >= BYTES_PER_STEP {
            self.budget.spend(self.unpaid as u64 / BYTES_PER_STEP)?;
            self.unpaid %= BYTES_PER_STEP as usize;
        }
        Ok(())
    }

    /// The text.
    pub fn finish(self) -> String {
        self.text
    }
}
