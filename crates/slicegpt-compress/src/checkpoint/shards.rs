//! [`Shards`]: writes named tensors to the weight files of a checkpoint.

use std::path::Path;

use slicegpt_checkpoint::{Dtype, OutputError, Writer, Written};

use super::TensorSink;

/// Writes named tensors to safetensors files of a directory.
pub struct Shards<'a> {
    directory: &'a Path,
    dtype: Dtype,
    max_shard_size: u64,
    writer: Option<Writer>,
}

impl<'a> Shards<'a> {
    /// Writes files of at most `max_shard_size` bytes in `directory`, with values as `dtype`.
    pub fn new(directory: &'a Path, dtype: Dtype, max_shard_size: u64) -> Self {
        Self { directory, dtype, max_shard_size, writer: None }
    }

    /// Completes the files.
    ///
    /// # Errors
    ///
    /// If a file cannot be written.
    ///
    /// # Panics
    ///
    /// If a tensor is missing.
    pub fn finish(self) -> Result<Written, OutputError> {
        self.writer.expect("a compression has begun").finish()
    }
}

impl TensorSink for Shards<'_> {
    type Error = OutputError;

    fn begin(&mut self, tensors: Vec<(String, Vec<usize>)>) -> Result<(), OutputError> {
        let writer = Writer::create(self.directory, tensors, self.dtype, self.max_shard_size)?;
        self.writer = Some(writer);
        Ok(())
    }

    fn write(&mut self, name: &str, values: &[f32]) -> Result<(), OutputError> {
        self.writer.as_mut().expect("tensors were announced").write(name, values)
    }
}
