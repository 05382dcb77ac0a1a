//! [`Limits`]: resource limits of a server.

use std::time::Duration;

/// Resource limits of a server. A request that would exceed one is refused with an error.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Maximum number of sequences in the running batch.
    pub sequences: usize,
    /// Maximum number of sequences that wait to be scheduled.
    pub queue: usize,
    /// Bytes of all KV caches together.
    pub cache_bytes: u64,
    /// Bytes of all responses together, reserved before generation and held until they are sent.
    pub answer_bytes: u64,
    /// Maximum size of a request body, in bytes.
    pub body_bytes: usize,
    /// Bytes of all request bodies that are being received, together.
    pub bodies_bytes: u64,
    /// Maximum number of open connections.
    pub connections: usize,
    /// Time from the first byte of a request to the last byte of its response.
    pub request: Duration,
    /// How long a client may read nothing of a response that is ready.
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
            bodies_bytes: 256 << 20,
            connections: 1024,
            request: Duration::from_secs(600),
            stall: Duration::from_secs(30),
        }
    }
}
