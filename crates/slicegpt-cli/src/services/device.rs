//! Where a command computes, and how much at a time.

use std::sync::{Mutex, PoisonError};

use anyhow::{Result, anyhow};
use burn::tensor::Device;
use slicegpt_compress::Batching;
use slicegpt_core::{Lanes, TokenBatch};
use slicegpt_corpus::Samples;
use slicegpt_device::{DeviceError, Info, Kind, Name};
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

/// Sequences at a time on the processor, at most.
const MOST_ON_CPU: usize = 16;

/// Tokens at a time on each core of the processor: more are not faster, and take more memory.
const ENOUGH_TOKENS_OF_A_CORE: usize = 1024;

/// Tokens at a time elsewhere: more keep no device busier.
const ENOUGH_TOKENS: usize = 32_768;

/// Sequences of `seqlen` tokens that keep the processor busy.
pub fn enough_on_cpu(seqlen: usize) -> usize {
    let of_a_core = (ENOUGH_TOKENS_OF_A_CORE / seqlen).clamp(1, 4);
    (of_a_core * rayon::current_num_threads()).min(MOST_ON_CPU)
}

/// The device a command computes on.
pub struct Target {
    /// Where tensors live.
    pub device: Device,
    /// What it is.
    pub info: Info,
    batch_size: BatchSize,
    memory: Option<u64>,
    /// What is being done, for errors.
    doing: Mutex<String>,
}

/// Samples, cut into what is run at a time.
pub struct Batches {
    /// What a lane runs at a time.
    pub batches: Vec<TokenBatch>,
    /// How many of these are run at a time.
    pub lanes: Lanes,
    /// How many sequences that is.
    pub size: usize,
}

impl Target {
    /// The device `opened`, where `batch_size` sequences are run at a time, in `memory` bytes.
    pub fn new(
        opened: slicegpt_device::Opened,
        batch_size: BatchSize,
        memory: Option<u64>,
    ) -> Self {
        let slicegpt_device::Opened { device, info } = opened;
        let memory = memory.or(info.memory_bytes.map(|bytes| bytes / 5 * 4));
        Self { device, info, batch_size, memory, doing: Mutex::default() }
    }

    /// Cuts `samples` into what is run at a time. On the processor the sequences of a batch are shared
    /// out among the cores.
    pub fn batches(&self, spec: &DecoderSpec, samples: &Samples) -> Batches {
        let size = self.batch_size(spec, samples.seqlen());
        let lanes = match self.is_cpu() {
            true => Lanes::new(size.min(samples.count())),
            false => Lanes::default(),
        };
        let batches = samples
            .batches(size.div_ceil(lanes.count()))
            .map(|(ids, mask)| {
                TokenBatch::new(ids.to_vec(), mask.map(<[bool]>::to_vec), samples.seqlen())
            })
            .collect();
        Batches { batches, lanes, size }
    }

    /// How sequences of `seqlen` tokens are cut into batches.
    pub fn batching(&self, spec: &DecoderSpec, seqlen: usize) -> Batching {
        let lanes = if self.is_cpu() { usize::MAX } else { 1 };
        Batching { size: self.batch_size(spec, seqlen), lanes }
    }

    /// How many sequences of `seqlen` tokens to run at a time.
    pub fn batch_size(&self, spec: &DecoderSpec, seqlen: usize) -> usize {
        let enough = match self.info.name {
            Name::Device(Kind::Cpu, _) => enough_on_cpu(seqlen),
            _ => (ENOUGH_TOKENS / seqlen).max(1),
        };
        match (self.batch_size, self.memory) {
            (BatchSize::Fixed(size), _) => size,
            (BatchSize::Auto, None) => enough.min(MOST_ON_CPU),
            (BatchSize::Auto, Some(bytes)) => estimate::batch_size(spec, seqlen, bytes).min(enough),
        }
    }

    /// Whether tensors on it are in the memory of this process.
    pub fn is_cpu(&self) -> bool {
        matches!(self.info.name, Name::Device(Kind::Cpu, _))
    }

    /// Says what is being done, should the device fail at it.
    pub fn doing(&self, what: String) {
        *self.doing.lock().unwrap_or_else(PoisonError::into_inner) = what;
    }

    /// Runs `work`; a device whose memory is full, or that is lost, is an error that says at what, and
    /// what to do.
    pub fn run<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let error = match slicegpt_device::guard(work) {
            Ok(result) => return result,
            Err(error) => error,
        };
        let doing = self.doing.lock().unwrap_or_else(PoisonError::into_inner);
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
