//! `slicegpt import`: models in other formats as checkpoints.

mod gguf;
mod reference;
mod weights;

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Subcommand;

/// Arguments of `slicegpt import`.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Args {
    #[command(subcommand)]
    format: Option<Format>,
    #[command(flatten)]
    reference: Option<reference::Args>,
}

#[derive(Subcommand)]
enum Format {
    /// Import a GGUF file of llama.cpp, dequantised, with tokenizer and chat template
    ///
    /// Commands that take a MODEL read GGUF files themselves: import one to run it in transformers,
    /// or to read it often. Architectures llama (Mistral is one), qwen2, qwen3, phi3 and phi2;
    /// types F32, F16, BF16, F64, all of Q4_0 to Q8_1 and Q2_K to Q8_K, IQ4_NL and IQ4_XS. Of a
    /// model that was split into NAME-00001-of-00003.gguf and so on, give any part.
    Gguf(gguf::Args),
}

/// Runs it.
pub fn run(args: Args) -> Result<ExitCode> {
    match (args.format, args.reference) {
        (Some(Format::Gguf(args)), _) => gguf::run(args),
        (None, Some(args)) => reference::run(args),
        (None, None) => bail!("give the directory to import, or `gguf` and a file"),
    }
}
