//! Memory estimates from shapes alone.

use slicegpt_models::{DecoderSpec, Entry, QUERIES};

/// Bytes of the weights of one block in float32.
fn block(spec: &DecoderSpec) -> usize {
    4 * spec.block_entries(0).iter().map(Entry::numel).sum::<usize>()
}

/// Elements of the largest matrix of a block.
fn largest(spec: &DecoderSpec) -> usize {
    spec.block_entries(0).iter().map(Entry::numel).max().unwrap_or(0)
}

/// Bytes of activations of one sequence inside a sublayer, in float32.
fn inside(spec: &DecoderSpec, seqlen: usize) -> usize {
    let attention = (spec.attention.heads + 2 * spec.attention.kv_heads) * spec.attention.head_dim;
    let widest = (3 * spec.mlp.intermediate_size).max(3 * attention) + 4 * spec.hidden_size;
    4 * seqlen * widest
}

/// Peak memory of a compression on the CPU, in bytes: one block in float32, the calibration stream,
/// the activations of one batch inside a sublayer, the float64 copies made when the largest matrix
/// is rewritten, and a covariance with its decomposition. With a refit also the stream and the
/// activations of the second model, and normal equations.
///
/// The last three are not needed at the same time, but the allocator keeps freed memory for a
/// while: their sum plus a tenth agrees with measurements (`docs/benchmarks.md`).
pub fn peak(
    spec: &DecoderSpec,
    samples: usize,
    seqlen: usize,
    batch_size: usize,
    refit: bool,
) -> u64 {
    let hidden = spec.hidden_size;
    let process = 40_000_000;
    let stream = 4 * samples * seqlen * hidden;
    let batch = batch_size.min(samples) * inside(spec, seqlen);
    let edit = 2 * (8 + 4) * largest(spec) + 2 * 8 * hidden * hidden;
    let decomposition = 6 * 8 * hidden * hidden;
    // A second, cut model, and the normal equations of the widest writer with their factor.
    let inner = spec.mlp.intermediate_size;
    let refit = if refit {
        block(spec) + stream + batch + 2 * 8 * inner * inner + 3 * 8 * inner * hidden
    } else {
        0
    };
    (process + block(spec) + stream + batch + edit + decomposition + refit) as u64 * 11 / 10
}

/// The largest batch size that fits into `bytes` of device memory together with a dense block, the
/// same block sliced, the next one, and the larger of the buffers for the edit of a matrix and for
/// the sums of a covariance or a refit; at least 1.
pub fn batch_size(spec: &DecoderSpec, seqlen: usize, bytes: u64) -> usize {
    let square = spec.hidden_size * spec.hidden_size;
    // The pieces of both split operands, and their products as integers and as float32.
    let edit = 4 * (12 * largest(spec) + 6 * square);
    // A sum and a term of it, in three parts each, and copies of both in other units.
    let inner = spec.mlp.intermediate_size;
    let sums = 4 * 16 * square.max(inner * inner);
    let scores = 3 * 4 * spec.attention.heads * QUERIES * seqlen;
    let sequence = inside(spec, seqlen) + scores + 3 * 4 * seqlen * spec.hidden_size;
    let fixed = 3 * block(spec) + edit.max(sums);
    let left = usize::try_from(bytes).unwrap_or(usize::MAX).saturating_sub(fixed);
    (left / sequence).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The Llama 7B shape.
    fn large() -> DecoderSpec {
        let config = serde_json::json!({
            "model_type": "llama", "vocab_size": 32000, "hidden_size": 4096,
            "intermediate_size": 11008, "num_hidden_layers": 32, "num_attention_heads": 32,
            "max_position_embeddings": 4096, "rms_norm_eps": 1e-5, "hidden_act": "silu"
        });
        slicegpt_models::parse(&config).unwrap()
    }

    #[test]
    fn more_memory_takes_more_sequences() {
        let spec = large();
        assert_eq!(batch_size(&spec, 2048, 0), 1);
        assert_eq!(batch_size(&spec, 2048, 3 << 30), 1);
        let fits = |gib: u64| batch_size(&spec, 2048, gib << 30);
        assert!((8..64).contains(&fits(24)), "{}", fits(24));
        assert!(fits(80) > 3 * fits(24));
    }
}
