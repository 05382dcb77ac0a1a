//! Options for an output that is a checkpoint, and for what is printed about it.

use clap::Args;

use crate::show::size::parse_bytes;

/// How a checkpoint is written.
#[derive(Args, Clone)]
pub struct Writing {
    /// Largest size of a weights file
    #[arg(long, value_name = "SIZE", default_value = "5GB", value_parser = parse_bytes)]
    pub max_shard_size: u64,
    /// Replace the checkpoint in --out
    #[arg(long)]
    pub force: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}
