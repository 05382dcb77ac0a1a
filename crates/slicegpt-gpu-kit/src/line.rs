//! [`Line`]: one result of a stage, as one line of JSON. It does not know how it was found.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One result of a stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Line {
    /// A fact about the machine or the device.
    Fact {
        /// The name of the fact.
        name: String,
        /// Its value.
        value: Value,
    },
    /// A comparison of the device with the CPU, or with transformers.
    Check(Check),
    /// A rate that the device achieves, and its limit.
    Rate(Rate),
    /// A model of random weights, compressed.
    Compress(Box<Compress>),
    /// Tokens per second of a model.
    Speed(Speed),
    /// The reaction to a request that cannot be met.
    Fault(Fault),
    /// Work that was skipped.
    Skipped {
        /// The name of the work.
        name: String,
        /// Why.
        reason: String,
    },
    /// Work that failed.
    Failed {
        /// The name of the work.
        name: String,
        /// The last lines of its messages.
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

/// A rate that the device achieves, per second.
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
    /// The achieved fraction of the limit.
    pub fn fraction(&self) -> Option<f64> {
        self.limit.map(|limit| self.achieved / limit)
    }
}

/// The resources that a process used, as far as they can be observed from outside.
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
    /// Mean fraction of the time in which the device was busy, as its driver samples it.
    pub device_busy: Option<f64>,
    /// Peak of the memory in use on the device, by all processes.
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
    /// Number of blocks that were compressed, and number of blocks of the whole model.
    pub layers: [usize; 2],
    /// `per-layer` or `shared`.
    pub method: String,
    /// Calibration samples and their length.
    pub tokens: [usize; 2],
    /// Type the model was run in.
    pub compute_dtype: String,
    /// Sequences at a time.
    pub batch_size: u64,
    /// Seconds as the program reports them, without start-up and evaluation.
    pub seconds: f64,
    /// Seconds by kind of work.
    pub stage_seconds: BTreeMap<String, f64>,
    /// Memory that the program has reserved on the device at its end.
    pub device_memory_bytes: Option<u64>,
    /// Peak resident memory as the program reports it.
    pub peak_rss_bytes: Option<u64>,
    /// The resources that the process used.
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
    /// Tokens of each sequence.
    pub tokens: u64,
    /// Tokens per second, of all sequences together.
    pub tokens_per_second: f64,
}

/// The reaction to a request that cannot be met.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// The request.
    pub name: String,
    /// The expected reaction.
    pub expected: String,
    /// Exit status, if it ended by itself.
    pub status: Option<i32>,
    /// The last lines of its messages.
    pub said: String,
    /// Whether the reaction was as expected.
    pub passed: bool,
}
