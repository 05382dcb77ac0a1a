//! `cargo xtask random-model`: writes a checkpoint of any size with random weights, for benchmarks.

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;
use slicegpt_checkpoint::Dtype;
use slicegpt_models::SUPPORTED;
use slicegpt_testkit::RandomModel;

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

fn main() -> Result<()> {
    let args = Args::parse();
    let dtype = match args.dtype.as_str() {
        "f16" => Dtype::F16,
        "bf16" => Dtype::Bf16,
        _ => Dtype::F32,
    };
    let model = RandomModel {
        family: args.family,
        hidden_size: args.hidden_size,
        layers: args.layers,
        heads: args.heads,
        kv_heads: args.kv_heads.unwrap_or(args.heads),
        intermediate_size: args.intermediate_size,
        vocab_size: args.vocab_size,
        context: args.context,
        dtype,
        out: args.out,
        seed: args.seed,
        tokens: args.tokens,
    };
    println!("{} parameters in {}", model.write()?, model.out.display());
    Ok(())
}

fn parse_tokens(text: &str) -> Result<(usize, usize), String> {
    let pair = text
        .split_once('x')
        .and_then(|(samples, length)| Some((samples.parse().ok()?, length.parse().ok()?)));
    pair.filter(|(samples, length)| *samples > 0 && *length > 0)
        .ok_or_else(|| "write e.g. 16x512".into())
}
