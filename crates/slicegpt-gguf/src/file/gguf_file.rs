//! [`GgufFile`]: a file whose header was read; its tensors are read on request.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use super::field::Field;
use super::header;
use super::stored_tensor::StoredTensor;
use crate::error::{GgufError, Result};

/// One GGUF file.
pub(crate) struct GgufFile {
    path: PathBuf,
    map: Mmap,
    fields: BTreeMap<String, Field>,
    tensors: BTreeMap<String, StoredTensor>,
}

impl GgufFile {
    /// Opens `path` and reads its header.
    ///
    /// # Errors
    ///
    /// If it is not a regular file, not a GGUF file of version 2 or 3, or its header does not
    /// describe it.
    pub fn open(path: &Path) -> Result<Self> {
        let there = std::fs::metadata(path).map_err(GgufError::io(path))?;
        if !there.is_file() {
            return Err(GgufError::file(path, "not a file"));
        }
        let file = File::open(path).map_err(GgufError::io(path))?;
        // SAFETY: the map is read only. If another program truncates the file meanwhile, reading
        // the map raises SIGBUS; every program that maps weights accepts this.
        let map = unsafe { Mmap::map(&file) }.map_err(GgufError::io(path))?;
        let header = header::read(&map).map_err(|reason| GgufError::file(path, reason))?;
        let header::Header { fields, tensors } = header;
        Ok(Self { path: path.into(), map, fields, tensors })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The places of all fields.
    pub(super) fn fields(&self) -> &BTreeMap<String, Field> {
        &self.fields
    }

    /// The bytes of the file.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// The tensors by name.
    pub fn tensors(&self) -> &BTreeMap<String, StoredTensor> {
        &self.tensors
    }

    /// Values `start..start + length` of `tensor`, appended to `out`.
    ///
    /// # Panics
    ///
    /// If the tensor is shorter, or its type is not read.
    pub fn read(&self, tensor: &StoredTensor, start: usize, length: usize, out: &mut Vec<f32>) {
        let ty = tensor.ty;
        // Whole blocks are decoded, and what is around the values is dropped again.
        let first = start / ty.block() * ty.block();
        let end = (start + length).next_multiple_of(ty.block());
        let place = |values| tensor.start + ty.bytes(values).expect("inside the file");
        let filled = out.len();
        ty.decode(&self.map[place(first)..place(end)], out);
        out.drain(filled..filled + start - first);
        out.truncate(filled + length);
    }

    /// Asks the operating system to read `tensor` into its page cache, and does not wait for it.
    pub fn will_read(&self, tensor: &StoredTensor) {
        #[cfg(unix)]
        if tensor.bytes > 0 {
            // If it fails, the tensor is read when it is needed.
            let _ = self.map.advise_range(memmap2::Advice::WillNeed, tensor.start, tensor.bytes);
        }
        #[cfg(not(unix))]
        let _ = tensor;
    }

    /// Releases the pages of `tensor`, which count as memory of this process once they were read.
    pub fn release(&self, tensor: &StoredTensor) {
        #[cfg(unix)]
        if tensor.bytes > 0 {
            // SAFETY: this is a read-only map of a file, so that a released page is read again
            // when it is needed. A failure only costs memory.
            let _ = unsafe {
                self.map.unchecked_advise_range(
                    memmap2::UncheckedAdvice::DontNeed,
                    tensor.start,
                    tensor.bytes,
                )
            };
        }
        #[cfg(not(unix))]
        let _ = tensor;
    }
}
