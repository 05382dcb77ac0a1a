//! [`write_weights`]: the tensors of a model in another format, as the weights of a checkpoint.

use anyhow::Result;
use slicegpt_checkpoint::{Dtype, Staging, Writer, Written};
use slicegpt_core::{Observer, TensorSource};
use slicegpt_models::DecoderSpec;

use crate::show::progress::{self, Progress};

/// Writes every tensor of `spec` from `source`, in files of at most `max_shard_size` bytes.
pub fn write_weights<S>(
    source: &S,
    spec: &DecoderSpec,
    staging: &Staging,
    (dtype, max_shard_size): (Dtype, u64),
) -> Result<Written>
where
    S: TensorSource<Error: std::error::Error + Send + Sync + 'static>,
{
    let entries = spec.entries();
    let tensors = entries.iter().map(|entry| (entry.name.clone(), entry.shape.clone())).collect();
    let mut writer = Writer::create(staging.path(), tensors, dtype, max_shard_size)?;
    let progress = Progress::start("importing", entries.len());
    for entry in &entries {
        writer.write(&entry.name, &source.tensor(&entry.name, &entry.shape)?)?;
        let _ = progress.step();
        progress::check()?;
    }
    progress.finish();
    Ok(writer.finish()?)
}
