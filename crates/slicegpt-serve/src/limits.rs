//! [`Limits`]: how much a server takes upon itself.

use std::time::Duration;

/// How much a server takes upon itself. What is over a limit is refused, and told so.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Texts that are run together, at most.
    pub sequences: usize,
    /// Texts that wait for their turn, at most.
    pub queue: usize,
    /// Bytes of all caches together.
    pub cache_bytes: u64,
    /// Bytes of all answers together, from before they are made until they are read.
    pub answer_bytes: u64,
    /// Bytes of the body of a request.
    pub body_bytes: usize,
    /// Open connections.
    pub connections: usize,
    /// From the first byte of a request to the last of its answer.
    pub request: Duration,
    /// How long a reader may take nothing of what is ready.
    pub stall: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sequences: 64,
            queue: 256,
            cache_bytes: 2 << 30,
            answer_bytes: 256 << 20,
            body_bytes: 4 << 20,
            connections: 1024,
            request: Duration::from_secs(600),
            stall: Duration::from_secs(30),
        }
    }
}
