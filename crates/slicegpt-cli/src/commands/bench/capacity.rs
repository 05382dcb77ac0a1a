//! [`Capacity`]: the batch that fits into the memory of a device, from shapes.

use serde_json::{Value, json};
use slicegpt_models::{Cache, DecoderSpec, Entry};

use super::worker::Hello;

/// The fraction of device memory that a model may use. The rest is for activations and the driver.
const LEFT: f64 = 0.9;

/// The memory that a model takes, and the largest batch on a device.
pub struct Capacity {
    pub model: String,
    pub device: String,
    /// Memory of one device, in bytes, if it is known.
    pub memory: Option<u64>,
    /// Bytes of all weights.
    pub weights: u64,
    /// Bytes of the KV cache of one sequence.
    pub sequence: u64,
    /// Tokens of that sequence.
    pub tokens: usize,
    /// Sequences whose KV cache fits on one device together with the weights; `None` if the weights
    /// do not fit.
    pub batch: Option<u64>,
    /// Devices over which the layers must be spread; `None` if one layer is too large.
    pub devices: Option<usize>,
}

impl Capacity {
    /// The capacity for the model `spec` in the types that `hello` names, with sequences of
    /// `tokens` tokens, on devices of `memory` bytes, by default the memory of this one.
    pub fn new(
        spec: &DecoderSpec,
        model: &str,
        hello: &Hello,
        tokens: usize,
        memory: Option<u64>,
    ) -> Self {
        let memory = memory.or(hello.device_memory);
        let weights = (spec.parameters() * hello.weight_bytes) as u64;
        let sequence =
            (spec.cache_elements() * Cache::allocated(tokens) * hello.cache_bytes) as u64;
        let left = memory.map(|memory| (memory as f64 * LEFT) as u64);
        Self {
            model: model.into(),
            device: hello.device.clone(),
            memory,
            weights,
            sequence,
            tokens,
            batch: left.map(|left| left.saturating_sub(weights) / sequence.max(1)),
            devices: left.and_then(|left| devices(spec, hello, tokens, left)),
        }
    }

    /// The capacity as JSON.
    pub fn to_json(&self) -> Value {
        json!({
            "model": self.model,
            "device": self.device,
            "memory_bytes": self.memory,
            "usable_fraction": LEFT,
            "weight_bytes": self.weights,
            "cache_bytes_per_sequence": self.sequence,
            "cache_tokens": self.tokens,
            "largest_batch": self.batch,
            "devices": self.devices,
        })
    }
}

/// The number of devices for the model and the KV cache of one sequence; no layer is split.
fn devices(spec: &DecoderSpec, hello: &Hello, tokens: usize, left: u64) -> Option<usize> {
    let bytes = |entries: Vec<Entry>| {
        (entries.iter().map(Entry::numel).sum::<usize>() * hello.weight_bytes) as u64
    };
    let of_a_token = spec.cache_elements() / spec.layers * hello.cache_bytes;
    let cache = (of_a_token * Cache::allocated(tokens)) as u64;
    let blocks = (0..spec.layers).map(|block| bytes(spec.block_entries(block)) + cache);
    let first = std::iter::once(spec.embedding_entry()).chain(spec.position_entry()).collect();
    let last = spec.norm_entries().into_iter().chain(spec.head_entries()).collect();
    let pieces = std::iter::once(bytes(first)).chain(blocks).chain([bytes(last)]);
    let (mut count, mut used) = (1, 0);
    for piece in pieces {
        if piece > left {
            return None;
        }
        if used + piece > left {
            (count, used) = (count + 1, 0);
        }
        used += piece;
    }
    Some(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The Llama 2 70B shape, in float16.
    fn large() -> (DecoderSpec, Hello) {
        let config = json!({
            "model_type": "llama", "vocab_size": 32000, "hidden_size": 8192,
            "intermediate_size": 28672,
            "num_hidden_layers": 80, "num_attention_heads": 64, "num_key_value_heads": 8,
            "max_position_embeddings": 4096,
        });
        let hello = Hello {
            device: "cuda:0".into(),
            device_model: "GPU".into(),
            device_memory: Some(80_000_000_000),
            weights: "float16".into(),
            weight_bytes: 2,
            cache_bytes: 2,
        };
        (slicegpt_models::parse(&config).unwrap(), hello)
    }

    #[test]
    fn a_smaller_model_needs_fewer_devices() {
        let (dense, hello) = large();
        let count = |spec: &DecoderSpec, memory| {
            Capacity::new(spec, "m", &hello, 2048, Some(memory)).devices
        };
        // 138 GB of weights.
        assert_eq!(count(&dense, 48_000_000_000), Some(4));
        let cut = dense.in_shared_basis(6144, 21504, false);
        assert_eq!(count(&cut, 48_000_000_000), Some(2));
        assert_eq!(count(&dense, 24_000_000_000), Some(7));
        assert_eq!(count(&dense, 1_000_000_000), None);
    }

    #[test]
    fn sequences_share_what_weights_leave() {
        let (dense, hello) = large();
        let one = Capacity::new(&dense, "m", &hello, 2048, None);
        assert_eq!((one.batch, one.memory), (Some(0), Some(80_000_000_000)));
        // 2 x 80 layers x 8 heads x 128 values of each token.
        assert_eq!(one.sequence, 2 * 80 * 8 * 128 * 2048 * 2);
        let two = Capacity::new(&dense, "m", &hello, 2048, Some(160_000_000_000));
        assert_eq!(two.batch, Some((144_000_000_000 - two.weights) / two.sequence));
        assert!(two.batch > Some(5));
        // The cache grows by several tokens at a time.
        let longer = Capacity::new(&dense, "m", &hello, 2049, None);
        assert_eq!(longer.sequence, one.sequence / 2048 * 2112);
    }

    #[test]
    fn nothing_is_said_of_memory_that_is_not_known() {
        let (dense, hello) = large();
        let hello = Hello { device_memory: None, ..hello };
        let unknown = Capacity::new(&dense, "m", &hello, 2048, None);
        assert_eq!((unknown.memory, unknown.batch, unknown.devices), (None, None, None));
    }
}
