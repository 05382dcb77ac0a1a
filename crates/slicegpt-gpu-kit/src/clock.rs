//! [`Deadline`]: the time by which a stage must end.

use std::time::{Duration, Instant};

/// The time by which a stage must end.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    end: Instant,
}

impl Deadline {
    /// `limit` from now.
    pub fn after(limit: Duration) -> Self {
        Self { end: Instant::now() + limit }
    }

    /// The time that is left, zero if it has passed.
    pub fn left(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    /// Whether less than `need` is left.
    pub fn is_short_of(&self, need: Duration) -> bool {
        self.left() < need
    }
}
