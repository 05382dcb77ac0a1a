//! A budget of bytes.

use std::io::{Error, ErrorKind, Result};

/// Bytes that a reader may still keep, or make, on account of one file.
///
/// ```
/// let mut budget = slicegpt_limits::Budget::new(100, "texts");
/// budget.spend(60)?;
/// let error = budget.spend(60).unwrap_err();
/// assert_eq!(error.to_string(), "more than 100 bytes of texts");
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug, Clone)]
pub struct Budget {
    whole: u64,
    left: u64,
    what: &'static str,
}

impl Budget {
    /// `bytes` of `what`, a plural such as "texts" that errors name.
    #[must_use]
    pub const fn new(bytes: u64, what: &'static str) -> Self {
        Self { whole: bytes, left: bytes, what }
    }

    /// What a file of `length` bytes may cost: `times` its length, and at least `least` bytes.
    #[must_use]
    pub fn of_file(length: u64, times: u64, least: u64, what: &'static str) -> Self {
        Self::new(length.saturating_mul(times).max(least), what)
    }

    /// Bytes that may still be spent.
    #[must_use]
    pub const fn left(&self) -> u64 {
        self.left
    }

    /// Spends `bytes`, before they are allocated.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidData`] if fewer are left; nothing is spent then.
    pub fn spend(&mut self, bytes: u64) -> Result<()> {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => {
                let Self { whole, what, .. } = self;
                let says = format!("more than {whole} bytes of {what}");
                Err(Error::new(ErrorKind::InvalidData, says))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_is_not_spent() {
        let mut budget = Budget::of_file(10, 3, 0, "records");
        assert!(budget.spend(31).is_err());
        assert_eq!(budget.left(), 30);
        budget.spend(30).unwrap();
        assert!(budget.spend(1).is_err());
        budget.spend(0).unwrap();
    }

    #[test]
    fn small_files_have_the_least_budget() {
        assert_eq!(Budget::of_file(10, 3, 100, "records").left(), 100);
        assert_eq!(Budget::of_file(u64::MAX, 3, 100, "records").left(), u64::MAX);
    }
}
