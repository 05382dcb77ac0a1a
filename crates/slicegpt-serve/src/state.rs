//! [`ServerState`]: what request handlers, responses and the scheduler share.

use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::language::Language;
use crate::limits::Limits;
use crate::metrics::Metrics;

/// What request handlers, responses and the scheduler share.
pub struct ServerState {
    pub language: Language,
    pub limits: Limits,
    pub metrics: Metrics,
    /// Maximum number of tokens of a sequence, prompt included: the model's context length, or less
    /// where the KV cache has no room for that.
    pub context: usize,
    /// When the server was started, in seconds since 1970.
    pub started: u64,
    /// Number of sequences whose clients have not read for so long that they may be dropped.
    pub stalled: AtomicUsize,
    /// Set by a request for which there is no slot or memory: the request that has been stalled
    /// longest is dropped.
    pub needs_room: AtomicBool,
}

impl ServerState {
    /// The state of a server that starts now.
    pub fn new(language: Language, limits: Limits, context: usize) -> Self {
        Self {
            language,
            limits,
            metrics: Metrics::default(),
            context,
            started: unix_seconds(),
            stalled: AtomicUsize::new(0),
            needs_room: AtomicBool::new(false),
        }
    }
}

/// The current time in seconds since 1970.
pub fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
