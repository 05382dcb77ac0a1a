//! [`Target`]: the device that a command computes on, and its batches.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, anyhow};
use burn::tensor::Device;
use slicegpt_compress::Batching;
use slicegpt_core::{Lanes, TokenBatch};
use slicegpt_corpus::Samples;
use slicegpt_device::{BackendKind, DeviceError, DeviceInfo, DeviceName};
use slicegpt_models::DecoderSpec;

use crate::services::estimate;
use crate::show::size::show_bytes;

/// How many sequences are run at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchSize {
    /// As many as fit.
    Auto,
    /// This many.
    Fixed(usize),
}

/// Largest batch size on a CPU.
const MAX_ON_CPU: usize = 16;

/// Tokens per batch and CPU core: more are not faster, and take more memory.
const TOKENS_PER_CORE: usize = 1024;

/// Tokens per batch on an accelerator: more do not increase its utilisation.
const TOKENS_PER_BATCH: usize = 32_768;

/// Batch size that keeps all CPU cores busy, for sequences of `seqlen` tokens.
pub fn enough_on_cpu(seqlen: usize) -> usize {
    let per_core = (TOKENS_PER_CORE / seqlen).clamp(1, 4);
    (per_core * rayon::current_num_threads()).min(MAX_ON_CPU)
}

/// The device that a command computes on.
pub struct Target {
    /// The device of tensors.
    pub device: Device,
    /// Its name and capabilities.
    pub info: DeviceInfo,
    batch_size: BatchSize,
    memory: Option<u64>,
    /// The current operation, for error messages.
    doing: Operation,
}

/// The current operation on a device, for error messages.
#[derive(Clone, Default)]
pub struct Operation(Arc<Mutex<String>>);

impl Operation {
    /// Sets the current operation.
    pub fn set(&self, what: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = what;
    }
}

/// Samples, cut into batches.
pub struct Batches {
    /// The batches; a lane runs one at a time.
    pub batches: Vec<TokenBatch>,
    /// The lanes that run batches in parallel.
    pub lanes: Lanes,
}

impl Target {
    /// The device `opened`, where `batch_size` sequences are run at a time, in `memory` bytes.
    pub fn new(
        opened: slicegpt_device::OpenDevice,
        batch_size: BatchSize,
        memory: Option<u64>,
    ) -> Self {
        let slicegpt_device::OpenDevice { device, info } = opened;
        let memory = memory.or(info.memory_bytes.map(|bytes| bytes / 5 * 4));
        Self { device, info, batch_size, memory, doing: Operation::default() }
    }

    /// Cuts `samples` into batches. On the CPU the sequences of a batch are divided among the
    /// cores.
    pub fn batches(&self, spec: &DecoderSpec, samples: &Samples) -> Batches {
        let size = self.batch_size(spec, samples.seqlen());
        let lanes =
            if self.is_cpu() { Lanes::new(size.min(samples.count())) } else { Lanes::default() };
        let batches = samples
            .batches(size.div_ceil(lanes.count()))
            .map(|(ids, mask)| {
                TokenBatch::new(ids.to_vec(), mask.map(<[bool]>::to_vec), samples.seqlen())
            })
            .collect();
        Batches { batches, lanes }
    }

    /// How sequences of `seqlen` tokens are cut into batches.
    pub fn batching(&self, spec: &DecoderSpec, seqlen: usize) -> Batching {
        let lanes = if self.is_cpu() { usize::MAX } else { 1 };
        Batching { size: self.batch_size(spec, seqlen), lanes }
    }

    /// Batch size for sequences of `seqlen` tokens.
    pub fn batch_size(&self, spec: &DecoderSpec, seqlen: usize) -> usize {
        let enough = match self.info.name {
            DeviceName::Device(BackendKind::Cpu, _) => enough_on_cpu(seqlen),
            _ => (TOKENS_PER_BATCH / seqlen).max(1),
        };
        match (self.batch_size, self.memory) {
            (BatchSize::Fixed(size), _) => size,
            (BatchSize::Auto, None) => enough.min(MAX_ON_CPU),
            (BatchSize::Auto, Some(bytes)) => estimate::batch_size(spec, seqlen, bytes).min(enough),
        }
    }

    /// Bytes of its own memory that may be used, if it has its own and they are known.
    pub fn memory(&self) -> Option<u64> {
        self.memory.filter(|_| !self.is_cpu())
    }

    /// Whether it is the CPU, with tensors in host memory.
    pub fn is_cpu(&self) -> bool {
        matches!(self.info.name, DeviceName::Device(BackendKind::Cpu, _))
    }

    /// Sets the current operation, which is named if the device fails.
    pub fn doing(&self, what: String) {
        self.doing.set(what);
    }

    /// The current operation, for others to set.
    pub fn operation(&self) -> Operation {
        self.doing.clone()
    }

    /// Runs `work`. If the device runs out of memory or is lost, the error names the operation and
    /// what to do.
    pub fn run<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let error = match slicegpt_device::guard(work) {
            Ok(result) => return result,
            Err(error) => error,
        };
        let doing = self.doing.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = match doing.as_str() {
            "" => format!("device {}", self.info.name),
            doing => format!("device {}, {doing}", self.info.name),
        };
        Err(match error {
            DeviceError::OutOfMemory { bytes } => {
                let size = bytes.map_or(String::new(), |bytes| {
                    format!(": {} were asked for", show_bytes(bytes))
                });
                anyhow!(
                    "{at}: out of memory{size}; lower --batch-size or --seqlen, or use another \
                     --device"
                )
            }
            error => anyhow!("{at}: {error}; use another --device, or try again"),
        })
    }
}
