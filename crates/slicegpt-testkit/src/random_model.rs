//! [`RandomModel`]: a checkpoint of any size with seeded random weights.
//!
//! Weights are drawn and written in pieces, so that memory does not grow with the model.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use rayon::prelude::*;
use safetensors::Dtype as FileType;
use safetensors::tensor::TensorView;
use serde_json::json;
use slicegpt_checkpoint::{Dtype, Staging, Writer};
use slicegpt_models::Entry;

/// The shape of a checkpoint with random weights, and where it is written.
///
/// As in the initialisation of models, linears and embeddings are normal with standard deviation
/// 0.02, norm weights are 1 and biases are 0.
#[derive(Clone, Debug)]
pub struct RandomModel {
    /// Model type.
    pub family: String,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Number of blocks.
    pub layers: usize,
    /// Number of query heads.
    pub heads: usize,
    /// Number of key and value heads.
    pub kv_heads: usize,
    /// Width of the MLP.
    pub intermediate_size: usize,
    /// Number of token ids.
    pub vocab_size: usize,
    /// Longest sequence.
    pub context: usize,
    /// Type of the weights.
    pub dtype: Dtype,
    /// Directory to write; it must not exist.
    pub out: PathBuf,
    /// Seed of the random generator.
    pub seed: u64,
    /// Samples and length of `tokens.safetensors`, random `input_ids`, if it is written too.
    pub tokens: Option<(usize, usize)>,
}

/// Number of elements that a thread draws at a time.
const PIECE: usize = 1 << 18;

/// Size limit of a weight file, in bytes.
const SHARD: u64 = 5_000_000_000;

impl RandomModel {
    /// Writes the checkpoint and returns its number of parameters.
    ///
    /// # Errors
    ///
    /// If no family has this shape, or a file cannot be written.
    pub fn write(&self) -> Result<u64> {
        let config = self.config();
        let spec = slicegpt_models::parse(&config)?;
        let staging = Staging::new(&self.out, None, false)?;
        let entries = spec.entries();
        let tensors =
            entries.iter().map(|entry| (entry.name.clone(), entry.shape.clone())).collect();
        let mut writer = Writer::create(staging.path(), tensors, self.dtype, SHARD)?;
        for (number, entry) in entries.iter().enumerate() {
            write(&mut writer, entry, self.seed.wrapping_add((number as u64) << 32))?;
        }
        writer.finish()?;
        if let Some((samples, length)) = self.tokens {
            let path = staging.path().join("tokens.safetensors");
            write_tokens(&path, samples, length, spec.vocab_size, self.seed)?;
        }
        let text = serde_json::to_string_pretty(&config)? + "\n";
        std::fs::write(staging.path().join("config.json"), text)
            .with_context(|| self.out.display().to_string())?;
        staging.commit()?;
        Ok(spec.parameters() as u64)
    }

    /// A config for every family at once: each reads its own fields.
    fn config(&self) -> serde_json::Value {
        json!({
            "model_type": self.family,
            "hidden_size": self.hidden_size,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "head_dim": self.hidden_size / self.heads,
            "intermediate_size": self.intermediate_size,
            "ffn_dim": self.intermediate_size,
            "vocab_size": self.vocab_size,
            "max_position_embeddings": self.context,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "rms_norm_eps": 1e-5,
            "rope_theta": 10000.0,
            "torch_dtype": self.dtype.torch_name(),
        })
    }
}

fn write(writer: &mut Writer, entry: &Entry, seed: u64) -> Result<()> {
    let constant = match (entry.shape.len(), entry.name.ends_with("weight")) {
        (1, true) => Some(1.0),
        (1, false) => Some(0.0),
        _ => None,
    };
    let starts: Vec<usize> = (0..entry.numel()).step_by(PIECE).collect();
    for group in starts.chunks(rayon::current_num_threads() * 4) {
        let pieces: Vec<Vec<f32>> = group
            .par_iter()
            .map(|start| {
                let length = PIECE.min(entry.numel() - start);
                match constant {
                    Some(value) => vec![value; length],
                    None => {
                        let rng = ChaCha8Rng::seed_from_u64(seed.wrapping_add(*start as u64));
                        rng.sample_iter(StandardNormal)
                            .take(length)
                            .map(|x: f32| 0.02 * x)
                            .collect()
                    }
                }
            })
            .collect();
        for piece in pieces {
            writer.write(&entry.name, &piece)?;
        }
    }
    Ok(())
}

fn write_tokens(
    path: &Path,
    samples: usize,
    length: usize,
    vocab_size: usize,
    seed: u64,
) -> Result<()> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let bytes: Vec<u8> = (0..samples * length)
        .flat_map(|_| rng.random_range(0..vocab_size as i32).to_le_bytes())
        .collect();
    let view = TensorView::new(FileType::I32, vec![samples, length], &bytes)?;
    safetensors::serialize_to_file([("input_ids", view)], None, path)?;
    Ok(())
}
