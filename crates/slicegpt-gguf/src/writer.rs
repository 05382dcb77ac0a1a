//! [`GgufWriter`]: a GGUF file of version 3, laid out before the first value is written.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::Type;
use crate::error::{GgufError, Result};
use crate::value::{Metadata, put_text};

/// Every tensor begins at a multiple of this many bytes, the format's default.
const ALIGNMENT: u64 = 32;

/// A tensor to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorInfo {
    /// Its name in the file.
    pub name: String,
    /// Its shape, rows first; the file holds it the other way round.
    pub shape: Vec<usize>,
    /// The type its values are stored as.
    pub ty: Type,
}

impl TensorInfo {
    /// The number of its values.
    pub fn numel(&self) -> usize {
        self.shape.iter().product()
    }

    /// Bytes of its values.
    pub fn bytes(&self) -> usize {
        self.ty.bytes(self.numel())
    }
}

/// Writes tensors in the order in which they were announced, each in one or more pieces.
pub struct GgufWriter {
    path: PathBuf,
    file: BufWriter<File>,
    infos: Vec<TensorInfo>,
    /// Index of the tensor being written, and the number of its values already written.
    next: (usize, usize),
}

impl GgufWriter {
    /// Creates the file `path` and writes its header: `metadata`, and `infos` in that order.
    ///
    /// # Errors
    ///
    /// If the file exists already or cannot be written.
    pub fn create(path: &Path, metadata: &Metadata, infos: Vec<TensorInfo>) -> Result<Self> {
        let io = || GgufError::io(path);
        let file = File::create_new(path).map_err(io())?;
        let mut file = BufWriter::with_capacity(1 << 20, file);
        file.write_all(&header(metadata, &infos)).map_err(io())?;
        Ok(Self { path: path.into(), file, infos, next: (0, 0) })
    }

    /// Writes the next `values` of tensor `name`, whole rows.
    ///
    /// # Errors
    ///
    /// If a value does not fit the type, or the file cannot be written.
    ///
    /// # Panics
    ///
    /// If another tensor is next, or its shape holds fewer values than are given.
    pub fn write(&mut self, name: &str, values: &[f32]) -> Result<()> {
        let (index, written) = self.next;
        let info = &self.infos[index];
        assert_eq!(info.name, name, "tensors are written in the order they were announced");
        let written = written + values.len();
        assert!(written <= info.numel(), "`{name}` is longer than announced");
        let bytes = info.ty.encode(values).map_err(|value| {
            let name = name.to_string();
            GgufError::Overflow { name, ty: info.ty.name(), value }
        })?;
        let io = || GgufError::io(self.path.clone());
        self.file.write_all(&bytes).map_err(io())?;
        self.next = (index, written);
        if written == info.numel() {
            let padding = padding(info.bytes() as u64);
            self.file.write_all(&vec![0; padding as usize]).map_err(io())?;
            self.next = (index + 1, 0);
        }
        Ok(())
    }

    /// Flushes everything to disk, and returns the size of the file in bytes.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    ///
    /// # Panics
    ///
    /// If a tensor was announced and not written completely.
    pub fn finish(self) -> Result<u64> {
        assert_eq!(self.next, (self.infos.len(), 0), "a tensor was never written");
        let io = || GgufError::io(self.path.clone());
        let file = self.file.into_inner().map_err(|error| io()(error.into_error()))?;
        file.sync_all().map_err(io())?;
        Ok(file.metadata().map_err(io())?.len())
    }
}

/// Everything before the values.
fn header(metadata: &Metadata, infos: &[TensorInfo]) -> Vec<u8> {
    let mut out = b"GGUF".to_vec();
    out.extend(3_u32.to_le_bytes());
    out.extend((infos.len() as u64).to_le_bytes());
    out.extend((metadata.len() as u64).to_le_bytes());
    for (key, value) in metadata {
        put_text(&mut out, key.as_bytes());
        value.put(&mut out);
    }
    let mut offset = 0_u64;
    for info in infos {
        put_text(&mut out, info.name.as_bytes());
        out.extend((info.shape.len() as u32).to_le_bytes());
        info.shape.iter().rev().for_each(|size| out.extend((*size as u64).to_le_bytes()));
        out.extend(info.ty.id().to_le_bytes());
        out.extend(offset.to_le_bytes());
        let bytes = info.bytes() as u64;
        offset += bytes + padding(bytes);
    }
    out.resize(out.len() + padding(out.len() as u64) as usize, 0);
    out
}

fn padding(bytes: u64) -> u64 {
    bytes.next_multiple_of(ALIGNMENT) - bytes
}
