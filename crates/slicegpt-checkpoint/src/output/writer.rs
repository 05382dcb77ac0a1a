//! [`Writer`]: safetensors shards that are laid out before the first tensor is written.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use safetensors::tensor::{Metadata, TensorInfo};
use serde_json::json;

use super::error::{OutputError, Result};
use crate::Dtype;

/// Writes the weights of a checkpoint, tensor by tensor, in any order, each at once or in parts.
pub struct Writer {
    directory: PathBuf,
    dtype: Dtype,
    shards: Vec<(PathBuf, File)>,
    tensors: HashMap<String, Slot>,
    parameters: u64,
}

/// The place of a tensor.
struct Slot {
    shard: usize,
    /// Where the next part goes, in bytes from the start of the file.
    next: u64,
    /// Number of elements not yet written.
    missing: usize,
}

/// What was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// Names of the files, in order.
    pub files: Vec<String>,
    /// Bytes of all tensors, without headers, as in the index.
    pub tensor_bytes: u64,
}

impl Writer {
    /// Lays out `tensors` (names and shapes) in `directory`, in this order, in files of at most
    /// `max_shard_size` bytes of tensors. A larger tensor gets its own file.
    ///
    /// # Errors
    ///
    /// If a file cannot be created.
    pub fn create(
        directory: &Path,
        tensors: Vec<(String, Vec<usize>)>,
        dtype: Dtype,
        max_shard_size: u64,
    ) -> Result<Self> {
        let size = |shape: &[usize]| (shape.iter().product::<usize>() * dtype.size()) as u64;
        let parameters =
            tensors.iter().map(|(_, shape)| shape.iter().product::<usize>() as u64).sum();
        let mut groups: Vec<Vec<(String, Vec<usize>)>> = Vec::new();
        let mut filled = 0u64;
        for (name, shape) in tensors {
            let bytes = size(&shape);
            match groups.last_mut() {
                Some(group) if filled.saturating_add(bytes) <= max_shard_size => {
                    group.push((name, shape));
                    filled += bytes;
                }
                _ => {
                    groups.push(vec![(name, shape)]);
                    filled = bytes;
                }
            }
        }
        let mut writer = Self {
            directory: directory.into(),
            dtype,
            shards: Vec::new(),
            tensors: HashMap::new(),
            parameters,
        };
        let count = groups.len();
        for (number, group) in groups.into_iter().enumerate() {
            let name = match count {
                1 => "model.safetensors".to_string(),
                _ => format!("model-{:05}-of-{count:05}.safetensors", number + 1),
            };
            writer.start_shard(directory.join(name), group)?;
        }
        Ok(writer)
    }

    fn start_shard(&mut self, path: PathBuf, tensors: Vec<(String, Vec<usize>)>) -> Result<()> {
        let mut end = 0;
        let infos: Vec<(String, TensorInfo)> = tensors
            .into_iter()
            .map(|(name, shape)| {
                let start = end;
                end += shape.iter().product::<usize>() * self.dtype.size();
                let dtype = self.dtype.safetensors();
                (name, TensorInfo { dtype, shape, data_offsets: (start, end) })
            })
            .collect();
        // transformers loads a file only if it has this entry.
        let notes = HashMap::from([("format".to_string(), "pt".to_string())]);
        let metadata =
            Metadata::new(Some(notes), infos.clone()).expect("offsets were laid out one by one");
        let mut header = serde_json::to_vec(&metadata).expect("names and numbers only");
        header.resize(header.len().next_multiple_of(8), b' ');

        let io = || OutputError::io(path.clone());
        let mut file = File::create_new(&path).map_err(io())?;
        file.write_all(&(header.len() as u64).to_le_bytes()).map_err(io())?;
        file.write_all(&header).map_err(io())?;
        let shard = self.shards.len();
        for (name, info) in infos {
            let next = (8 + header.len() + info.data_offsets.0) as u64;
            let missing = info.shape.iter().product();
            self.tensors.insert(name, Slot { shard, next, missing });
        }
        self.shards.push((path, file));
        Ok(())
    }

    /// Writes the next `values` of tensor `name`, row-major.
    ///
    /// # Errors
    ///
    /// If a value is out of the range of the type, or the file cannot be written.
    ///
    /// # Panics
    ///
    /// If the tensor was not announced, or has fewer elements left than are given.
    pub fn write(&mut self, name: &str, values: &[f32]) -> Result<()> {
        let slot = self.tensors.get_mut(name).unwrap_or_else(|| panic!("`{name}` not announced"));
        assert!(values.len() <= slot.missing, "`{name}` is longer than announced");
        let bytes = self.dtype.narrow(values).map_err(|value| OutputError::Overflow {
            name: name.into(),
            dtype: self.dtype,
            value,
        })?;
        let (path, file) = &mut self.shards[slot.shard];
        let io = || OutputError::io(path.clone());
        file.seek(SeekFrom::Start(slot.next)).map_err(io())?;
        file.write_all(&bytes).map_err(io())?;
        slot.next += bytes.len() as u64;
        slot.missing -= values.len();
        Ok(())
    }

    /// Flushes everything to disk and, if there is more than one file, writes the index.
    ///
    /// # Errors
    ///
    /// If a file cannot be written.
    ///
    /// # Panics
    ///
    /// If a tensor was announced and not written completely.
    pub fn finish(self) -> Result<Written> {
        if let Some((name, slot)) = self.tensors.iter().find(|(_, slot)| slot.missing > 0) {
            panic!("{} elements of `{name}` were never written", slot.missing);
        }
        let mut files = Vec::new();
        for (path, file) in &self.shards {
            file.sync_all().map_err(OutputError::io(path))?;
            let name = path.file_name().expect("made from a name above");
            files.push(name.to_string_lossy().into_owned());
        }
        let tensor_bytes = self.parameters * self.dtype.size() as u64;
        if files.len() > 1 {
            let weight_map: BTreeMap<_, _> =
                self.tensors.iter().map(|(name, slot)| (name, &files[slot.shard])).collect();
            let index = json!({
                "metadata": { "total_parameters": self.parameters, "total_size": tensor_bytes },
                "weight_map": weight_map,
            });
            let path = self.directory.join("model.safetensors.index.json");
            let text = serde_json::to_string_pretty(&index).expect("names and numbers only");
            std::fs::write(&path, text + "\n").map_err(OutputError::io(path))?;
        }
        Ok(Written { files, tensor_bytes })
    }
}

#[cfg(test)]
mod tests {
    use slicegpt_core::TensorSource;

    use super::*;
    use crate::Checkpoint;

    fn announce() -> Vec<(String, Vec<usize>)> {
        vec![("a".into(), vec![4, 3]), ("b".into(), vec![5]), ("c".into(), vec![2, 2])]
    }

    fn write(directory: &Path, max_shard_size: u64) -> Written {
        std::fs::write(directory.join("config.json"), "{}").unwrap();
        let mut writer = Writer::create(directory, announce(), Dtype::F32, max_shard_size).unwrap();
        // Out of order, and in parts.
        writer.write("c", &[1.0, 2.0, 3.0, 4.0]).unwrap();
        writer.write("a", &[0.5; 6]).unwrap();
        writer.write("b", &[-1.0; 5]).unwrap();
        writer.write("a", &[0.25; 6]).unwrap();
        writer.finish().unwrap()
    }

    #[test]
    fn written_tensors_are_read_back() {
        for (max_shard_size, files) in [(1 << 20, 1), (70, 2), (1, 3)] {
            let directory = tempfile::tempdir().unwrap();
            let written = write(directory.path(), max_shard_size);
            assert_eq!(written.files.len(), files);
            assert_eq!(written.tensor_bytes, 84);
            let checkpoint = Checkpoint::open(directory.path()).unwrap();
            let source = &checkpoint;
            assert_eq!(source.tensor("b", &[5]).unwrap(), [-1.0; 5]);
            assert_eq!(source.rows("a", [4, 3], 1..3).unwrap(), [0.5, 0.5, 0.5, 0.25, 0.25, 0.25]);
            assert_eq!(source.gather("c", [2, 2], &[1, 1, 0]).unwrap(), [3., 4., 3., 4., 1., 2.]);
        }
    }

    #[test]
    #[should_panic(expected = "never written")]
    fn a_tensor_that_is_not_written_panics() {
        let directory = tempfile::tempdir().unwrap();
        let _ = Writer::create(directory.path(), announce(), Dtype::Bf16, 1).unwrap().finish();
    }
}
