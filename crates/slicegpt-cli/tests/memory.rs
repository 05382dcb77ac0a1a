//! Memory: only one block is in memory at a time, whatever the number of blocks.

#![cfg(target_os = "linux")]

use std::path::Path;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use safetensors::tensor::TensorView;
use serde_json::json;
use slicegpt_checkpoint::{Dtype, Writer};
use slicegpt_testkit::Cli;

const HIDDEN: usize = 256;
const INNER: usize = 1024;
const VOCABULARY: usize = 512;

/// Bytes of the weights of one block, in float32.
const BLOCK: i64 = 4 * (4 * HIDDEN * HIDDEN + 3 * HIDDEN * INNER) as i64;

/// A decoder of `layers` blocks with seeded random weights.
fn write_model(directory: &Path, layers: usize) {
    std::fs::create_dir(directory).unwrap();
    let config = json!({
        "model_type": "llama",
        "hidden_size": HIDDEN,
        "intermediate_size": INNER,
        "num_attention_heads": 8,
        "num_hidden_layers": layers,
        "vocab_size": VOCABULARY,
        "max_position_embeddings": 128,
    });
    std::fs::write(directory.join("config.json"), config.to_string()).unwrap();
    let block = |layer: usize| {
        [
            ("input_layernorm", vec![HIDDEN]),
            ("self_attn.q_proj", vec![HIDDEN, HIDDEN]),
            ("self_attn.k_proj", vec![HIDDEN, HIDDEN]),
            ("self_attn.v_proj", vec![HIDDEN, HIDDEN]),
            ("self_attn.o_proj", vec![HIDDEN, HIDDEN]),
            ("post_attention_layernorm", vec![HIDDEN]),
            ("mlp.gate_proj", vec![INNER, HIDDEN]),
            ("mlp.up_proj", vec![INNER, HIDDEN]),
            ("mlp.down_proj", vec![HIDDEN, INNER]),
        ]
        .map(|(name, shape)| (format!("model.layers.{layer}.{name}.weight"), shape))
    };
    let tensors: Vec<(String, Vec<usize>)> = [
        ("model.embed_tokens.weight".to_string(), vec![VOCABULARY, HIDDEN]),
        ("model.norm.weight".to_string(), vec![HIDDEN]),
        ("lm_head.weight".to_string(), vec![VOCABULARY, HIDDEN]),
    ]
    .into_iter()
    .chain((0..layers).flat_map(block))
    .collect();
    let mut writer = Writer::create(directory, tensors.clone(), Dtype::F32, u64::MAX).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(layers as u64);
    for (name, shape) in tensors {
        let count: usize = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|_| rng.random_range(-0.05..0.05)).collect();
        writer.write(&name, &values).unwrap();
    }
    writer.finish().unwrap();
}

/// Peak memory of `command` on a model of `layers` blocks, in bytes.
fn peak(layers: usize, command: &str) -> i64 {
    let scratch = tempfile::tempdir().unwrap();
    write_model(&scratch.path().join("model"), layers);
    let ids: Vec<u8> =
        (0..256_i64).flat_map(|i| (i * 7 % VOCABULARY as i64).to_le_bytes()).collect();
    let view = TensorView::new(safetensors::Dtype::I64, vec![4, 64], &ids).unwrap();
    let tokens = scratch.path().join("tokens.safetensors");
    safetensors::serialize_to_file([("input_ids", view)], None, &tokens).unwrap();
    let result = Cli::new(command).words("--out out").current_dir(scratch.path()).json();
    result["peak_rss_bytes"].as_i64().unwrap()
}

const FEW: usize = 4;
const MANY: usize = 32;

/// How much more memory `MANY` blocks need than `FEW` blocks, in multiples of one block.
fn growth(command: &str) -> i64 {
    let [few, many] = [FEW, MANY].map(|layers| peak(layers, command));
    println!("{command}: {few} bytes with {FEW} blocks, {many} with {MANY}, {BLOCK} each");
    (many - few) / BLOCK
}

const SAMPLES: &str = "--calibration tokens.safetensors --samples 4 --seqlen 64";

/// The memory that the allocator keeps of earlier blocks differs from run to run by up to six
/// blocks and does not grow with their number.
#[test]
fn memory_does_not_grow_with_the_number_of_blocks() {
    for command in [
        "compress model --sparsity 0.25 --method per-layer",
        "compress model --sparsity 0.25 --method shared",
        "calibrate model",
    ] {
        let command = format!("{command} {SAMPLES}");
        assert!(growth(&command) < 8, "{command}");
    }
    for command in ["export gguf model --type f32", "export gguf model --type q4_k_m"] {
        assert!(growth(command) < 8, "{command}");
    }
}

/// Sampling text from the model holds all blocks in memory. This control shows that the measurement
/// would notice it.
#[test]
fn blocks_that_are_held_in_memory_are_noticed() {
    assert!(growth("calibrate model --calibration self --samples 4 --seqlen 64") > 20);
}
