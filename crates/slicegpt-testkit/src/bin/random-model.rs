//! `cargo xtask random-model`: writes a checkpoint of any size with random weights, for benchmarks.
//!
//! Weights are drawn and written in pieces, so that memory does not grow with the model.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Parser;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use rayon::prelude::*;
use safetensors::Dtype as FileType;
use safetensors::tensor::TensorView;
use serde_json::json;
use slicegpt_checkpoint::{Dtype, Staging, Writer};
use slicegpt_models::{Entry, SUPPORTED};

/// Writes a random checkpoint of any size.
///
/// As in the initialisation of models, linears and embeddings are normal with standard deviation
/// 0.02, norm weights are 1 and biases are 0.
#[derive(Parser)]
#[command(name = "random-model")]
struct Args {
    /// Model type
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(SUPPORTED))]
    family: String,
    /// Width of the residual stream
    #[arg(long, value_name = "N")]
    hidden_size: usize,
    /// Number of blocks
    #[arg(long, value_name = "N")]
    layers: usize,
    /// Number of query heads
    #[arg(long, value_name = "N")]
    heads: usize,
    /// Number of key and value heads [default: that of --heads]
    #[arg(long, value_name = "N")]
    kv_heads: Option<usize>,
    /// Width of the MLP
    #[arg(long, value_name = "N")]
    intermediate_size: usize,
    /// Number of token ids
    #[arg(long, value_name = "N")]
    vocab_size: usize,
    /// Longest sequence
    #[arg(long, value_name = "N", default_value_t = 2048)]
    context: usize,
    /// Type of the weights
    #[arg(long, default_value = "bf16", value_parser = ["f32", "f16", "bf16"])]
    dtype: String,
    /// Directory to write; it must not exist
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Seed of the random generator
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Also write tokens.safetensors: random `input_ids`, [SAMPLES, LENGTH]
    #[arg(long, value_name = "SAMPLESxLENGTH", value_parser = parse_tokens)]
    tokens: Option<(usize, usize)>,
}

/// Number of elements that a thread draws at a time.
const PIECE: usize = 1 << 18;

/// Size limit of a weight file, in bytes.
const SHARD: u64 = 5_000_000_000;

fn main() -> Result<()> {
    let args = Args::parse();
    let dtype = match args.dtype.as_str() {
        "f16" => Dtype::F16,
        "bf16" => Dtype::Bf16,
        _ => Dtype::F32,
    };
    let config = config(&args, dtype);
    let spec = slicegpt_models::parse(&config)?;
    let staging = Staging::new(&args.out, None, false)?;
    let entries = spec.entries();
    let tensors = entries.iter().map(|entry| (entry.name.clone(), entry.shape.clone())).collect();
    let mut writer = Writer::create(staging.path(), tensors, dtype, SHARD)?;
    for (number, entry) in entries.iter().enumerate() {
        write(&mut writer, entry, args.seed.wrapping_add((number as u64) << 32))?;
    }
    writer.finish()?;
    if let Some((samples, length)) = args.tokens {
        let path = staging.path().join("tokens.safetensors");
        write_tokens(&path, samples, length, spec.vocab_size, args.seed)?;
    }
    let text = serde_json::to_string_pretty(&config)? + "\n";
    std::fs::write(staging.path().join("config.json"), text)
        .with_context(|| args.out.display().to_string())?;
    staging.commit()?;
    println!("{} parameters in {}", spec.parameters(), args.out.display());
    Ok(())
}

/// A config for every family at once: each reads its own fields.
fn config(args: &Args, dtype: Dtype) -> serde_json::Value {
    json!({
        "model_type": args.family,
        "hidden_size": args.hidden_size,
        "num_hidden_layers": args.layers,
        "num_attention_heads": args.heads,
        "num_key_value_heads": args.kv_heads.unwrap_or(args.heads),
        "head_dim": args.hidden_size / args.heads,
        "intermediate_size": args.intermediate_size,
        "ffn_dim": args.intermediate_size,
        "vocab_size": args.vocab_size,
        "max_position_embeddings": args.context,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "torch_dtype": dtype.torch_name(),
    })
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

fn parse_tokens(text: &str) -> Result<(usize, usize), String> {
    let pair = text
        .split_once('x')
        .and_then(|(samples, length)| Some((samples.parse().ok()?, length.parse().ok()?)));
    pair.filter(|(samples, length)| *samples > 0 && *length > 0)
        .ok_or_else(|| "write e.g. 16x512".into())
}
