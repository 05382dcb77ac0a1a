//! [`Log`]: where a stage writes its results, line by line.

use std::io::{self, Write};

use anyhow::{Context, Result};

use crate::Line;
use crate::line::Check;

/// Where a stage writes its results: each as one line of JSON, at once.
pub struct Log<'a>(Box<dyn Write + 'a>);

impl<'a> Log<'a> {
    /// A log on stdout.
    pub fn stdout() -> Self {
        Self(Box::new(io::stdout()))
    }

    /// A log on any writer.
    pub fn to(writer: impl Write + 'a) -> Self {
        Self(Box::new(writer))
    }

    /// Writes a result.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn put(&mut self, line: &Line) -> Result<()> {
        let text = serde_json::to_string(line)?;
        writeln!(self.0, "{text}").and_then(|()| self.0.flush()).context("cannot write a result")
    }

    /// Writes a check.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn check(&mut self, check: Check) -> Result<()> {
        self.put(&Line::Check(check))
    }

    /// Writes that something was skipped, and why.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn skipped(&mut self, name: &str, reason: impl Into<String>) -> Result<()> {
        self.put(&Line::Skipped { name: name.into(), reason: reason.into() })
    }

    /// Writes that something failed, and why.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn failed(&mut self, name: &str, reason: impl Into<String>) -> Result<()> {
        self.put(&Line::Failed { name: name.into(), reason: reason.into() })
    }
}
