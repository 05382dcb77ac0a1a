//! [`Line`]: one result of a stage, as one line of JSON. It refuses to know how it was found.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One result of a stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Line {
    /// Something about the machine or the device.
    Fact {
        /// What it is about.
        name: String,
        /// What is known.
        value: Value,
    },
    /// The device against the CPU, or against transformers.
    Check(Check),
    /// What the device achieves, and its limit.
    Rate(Rate),
    /// A model of random weights, compressed.
    Compress(Box<Compress>),
    /// Tokens per second of a model.
    Speed(Speed),
    /// What happens when something is asked for that cannot be done.
    Fault(Fault),
    /// What was not done, and why.
    Skipped {
        /// What was not done.
        name: String,
        /// Why.
        reason: String,
    },
    /// What was tried and failed.
    Failed {
        /// What was tried.
        name: String,
        /// The last lines of what it said.
        reason: String,
    },
    /// A line of a later version.
    #[serde(other)]
    Unknown,
}

/// A difference that must be small.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// Which kind of check: `covariance`, `logits`, ...
    pub group: String,
    /// What was checked.
    pub name: String,
    /// The largest difference; `None` if it is not a number.
    pub difference: Option<f64>,
    /// The largest difference allowed.
    pub tolerance: f64,
    /// Whether the difference is at most the tolerance.
    pub passed: bool,
    /// How long it took, in seconds.
    #[serde(default)]
    pub seconds: f64,
}

/// What the device achieves, per second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// Which kind of work: `product`, `copy`, `transfer`, `kernel`.
    pub group: String,
    /// What was measured.
    pub name: String,
    /// Its shape.
    pub shape: String,
    /// Operations or bytes per second.
    pub achieved: f64,
    /// `FLOP/s` or `B/s`.
    pub unit: String,
    /// The device's limit in the same unit, if it is known.
    pub limit: Option<f64>,
    /// Where the limit comes from: `published` or `measured`.
    #[serde(default)]
    pub limit_is: String,
    /// Seconds of the fastest run.
    pub seconds: f64,
}

impl Rate {
    /// The part of the limit that is achieved.
    pub fn fraction(&self) -> Option<f64> {
        self.limit.map(|limit| self.achieved / limit)
    }
}

/// What a process used, as far as it can be seen from outside.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Seconds from start to end.
    pub wall_seconds: f64,
    /// CPU seconds of all threads, user and system.
    pub cpu_seconds: Option<f64>,
    /// Seconds that threads waited for block devices, if the system counts them.
    pub disk_wait_seconds: Option<f64>,
    /// Bytes read from block devices (not those that were in the page cache).
    pub disk_read_bytes: Option<u64>,
    /// Bytes that will be or were written to block devices.
    pub disk_write_bytes: Option<u64>,
    /// Peak resident memory.
    pub peak_rss_bytes: Option<u64>,
    /// Mean part of the time that the device was busy, as its driver samples it, from 0 to 1.
    pub device_busy: Option<f64>,
    /// Greatest memory in use on the device, by all processes.
    pub device_memory_bytes: Option<u64>,
    /// Number of samples of the two above.
    pub device_samples: u64,
}

/// A model of random weights, compressed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Compress {
    /// Name of the shape, such as `1.1B`.
    pub shape: String,
    /// Blocks that were compressed, and those of the whole model.
    pub layers: [usize; 2],
    /// `per-layer` or `shared`.
    pub method: String,
    /// Calibration samples and their length.
    pub tokens: [usize; 2],
    /// Type the model was run in.
    pub compute_dtype: String,
    /// Sequences at a time.
    pub batch_size: u64,
    /// Seconds as the program counts them: without start and evaluation.
    pub seconds: f64,
    /// Seconds by kind of work.
    pub stage_seconds: BTreeMap<String, f64>,
    /// Memory that the program holds on the device at its end.
    pub device_memory_bytes: Option<u64>,
    /// Peak resident memory as the program counts it.
    pub peak_rss_bytes: Option<u64>,
    /// What the process used.
    pub usage: Usage,
}

/// Tokens per second of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Speed {
    /// Name of the shape.
    pub shape: String,
    /// `dense` or `cut`.
    pub model: String,
    /// `prefill` or `decode`.
    pub phase: String,
    /// Sequences at a time.
    pub batch: u64,
    /// Tokens of each.
    pub tokens: u64,
    /// Tokens per second, of all sequences together.
    pub tokens_per_second: f64,
}

/// What happens when something is asked for that cannot be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// What was asked for.
    pub name: String,
    /// What must happen.
    pub expected: String,
    /// Exit status, if it ended by itself.
    pub status: Option<i32>,
    /// The last lines of what it said.
    pub said: String,
    /// Whether that is what must happen.
    pub passed: bool,
}
