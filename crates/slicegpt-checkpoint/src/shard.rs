//! [`Shard`]: one file of weights, a mapped safetensors file or a PyTorch pickle.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use memmap2::Mmap;
use pytorch_reader::{DType as TorchType, PytorchReader};
use safetensors::SafeTensors;

use crate::Dtype;
use crate::error::{CheckpointError, Result};
use crate::pickle::refuse_programs;

/// Characters of an error of the reader of pickles that are shown. It may quote what is in the
/// file.
const SHOWN: usize = 300;

/// A file of weights.
pub(crate) struct Shard {
    pub path: PathBuf,
    tensors: HashMap<String, Tensor>,
    contents: Contents,
}

/// Shape, type and place of a tensor.
struct Tensor {
    shape: Vec<usize>,
    /// `Err` holds the name of an unsupported type.
    dtype: std::result::Result<Dtype, String>,
    /// Bytes from the start of the file; 0 in pickles.
    offset: usize,
}

enum Contents {
    Mapped(Mmap),
    Pickled {
        reader: Box<PytorchReader>,
        /// Tensors that rows were read from: a pickle gives whole tensors only.
        tables: Mutex<HashMap<String, Arc<Vec<f32>>>>,
    },
}

/// Whether Git keeps the name of the file here in place of its contents.
fn is_lfs_pointer(path: &Path) -> bool {
    const BEGIN: &[u8] = b"version https://git-lfs.github.com/spec/";
    let mut start = [0; BEGIN.len()];
    let read = slicegpt_limits::open(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start == BEGIN
}

impl Shard {
    pub fn open(path: &Path) -> Result<Self> {
        if is_lfs_pointer(path) {
            return Err(CheckpointError::LfsPointer(path.into()));
        }
        if path.extension().is_some_and(|extension| extension == "safetensors") {
            Self::map(path)
        } else {
            Self::unpickle(path)
        }
    }

    fn map(path: &Path) -> Result<Self> {
        let file = slicegpt_limits::open(path).map_err(CheckpointError::io(path))?;
        // SAFETY: the map is read only. If another program truncates the file meanwhile, reading
        // the map raises SIGBUS; every program that maps weights accepts this.
        let map = unsafe { Mmap::map(&file) }.map_err(CheckpointError::io(path))?;
        let (header, metadata) = SafeTensors::read_metadata(&map).map_err(|error| {
            CheckpointError::Corrupt { path: path.into(), reason: error.to_string() }
        })?;
        let tensors = metadata.tensors().into_iter().map(|(name, info)| {
            let dtype =
                Dtype::from_safetensors(info.dtype).ok_or_else(|| format!("{:?}", info.dtype));
            let offset = 8 + header + info.data_offsets.0;
            (name, Tensor { shape: info.shape.clone(), dtype, offset })
        });
        Ok(Self { path: path.into(), tensors: tensors.collect(), contents: Contents::Mapped(map) })
    }

    fn unpickle(path: &Path) -> Result<Self> {
        let corrupt = |reason: String| CheckpointError::Corrupt { path: path.into(), reason };
        // The reader interprets the pickle's structure as data and calls nothing in it. A pickle
        // that would make Python call something is refused nevertheless.
        refuse_programs(path)?;
        let reader = PytorchReader::new(path).map_err(|error| corrupt(shown(&error)))?;
        let tensors = reader.tensors().iter().map(|(name, tensor)| {
            let dtype = match tensor.dtype() {
                TorchType::F32 => Ok(Dtype::F32),
                TorchType::F16 => Ok(Dtype::F16),
                TorchType::BF16 => Ok(Dtype::Bf16),
                other => Err(format!("{other:?}")),
            };
            (name.clone(), Tensor { shape: tensor.shape().to_vec(), dtype, offset: 0 })
        });
        let tensors: HashMap<_, _> = tensors.collect();
        if tensors.is_empty() {
            return Err(corrupt("it holds no tensors".into()));
        }
        let contents = Contents::Pickled { reader: Box::new(reader), tables: Mutex::default() };
        Ok(Self { path: path.into(), tensors, contents })
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    pub fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|tensor| tensor.shape.as_slice())
    }

    /// The type of `name`, after checking that it exists and has `shape` and a supported type.
    pub fn check(&self, name: &str, shape: &[usize]) -> Result<Dtype> {
        let path = || self.path.clone();
        let Some(tensor) = self.tensors.get(name) else {
            return Err(CheckpointError::MissingTensor { path: path(), name: name.into() });
        };
        if tensor.shape != shape {
            let (found, expected) = (tensor.shape.clone(), shape.to_vec());
            let name = name.into();
            return Err(CheckpointError::Shape { path: path(), name, found, expected });
        }
        tensor.dtype.clone().map_err(|found| {
            let name = name.into();
            CheckpointError::Type { path: path(), name, found }
        })
    }

    /// Starts to read tensor `name` into the page cache, if it is mapped.
    pub fn will_read(&self, name: &str) {
        let Contents::Mapped(map) = &self.contents else { return };
        if let Some(Tensor { shape, dtype: Ok(dtype), offset }) = self.tensors.get(name) {
            read_ahead(map, *offset, shape.iter().product::<usize>() * dtype.size());
        }
    }

    /// Elements `start..start + length` of tensor `name` for each of `spans`, concatenated.
    pub fn read(
        &self,
        name: &str,
        shape: &[usize],
        spans: impl ExactSizeIterator<Item = (usize, usize)>,
    ) -> Result<Vec<f32>> {
        let dtype = self.check(name, shape)?;
        let whole: usize = shape.iter().product();
        let mut out = Vec::new();
        match &self.contents {
            Contents::Mapped(map) => {
                let offset = self.tensors[name].offset;
                let mut finite = true;
                for (start, length) in spans {
                    assert!(
                        start + length <= whole,
                        "rows {start}.. of `{name}` are beyond its end"
                    );
                    let from = offset + start * dtype.size();
                    let bytes = &map[from..from + length * dtype.size()];
                    let filled = out.len();
                    out.resize(filled + length, 0.0);
                    finite &= dtype.widen(bytes, &mut out[filled..]);
                }
                release(map, offset, whole * dtype.size());
                self.finite(name, finite)?;
            }
            Contents::Pickled { reader, tables } => {
                let load = || -> Result<Vec<f32>> {
                    let tensor = reader.get(name).expect("it was checked above");
                    let bytes = tensor.read().map_err(|error| CheckpointError::Corrupt {
                        path: self.path.clone(),
                        reason: shown(&error),
                    })?;
                    let mut values = vec![0.0; whole];
                    let finite = dtype.widen(&bytes, &mut values);
                    self.finite(name, finite)?;
                    Ok(values)
                };
                let mut spans = spans.peekable();
                if spans.len() == 1 && spans.peek() == Some(&(0, whole)) {
                    return load();
                }
                let mut tables = tables.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                let table = match tables.get(name) {
                    Some(table) => table.clone(),
                    None => {
                        let table = Arc::new(load()?);
                        tables.insert(name.into(), table.clone());
                        table
                    }
                };
                for (start, length) in spans {
                    out.extend_from_slice(&table[start..start + length]);
                }
            }
        }
        Ok(out)
    }

    fn finite(&self, name: &str, finite: bool) -> Result<()> {
        if finite {
            return Ok(());
        }
        Err(CheckpointError::NotFinite { path: self.path.clone(), name: name.into() })
    }
}

/// The beginning of what an error says.
fn shown(error: &impl ToString) -> String {
    let says = error.to_string();
    match says.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &says[..end]),
        None => says,
    }
}

/// Asks the operating system to read a part of a map into its page cache, and does not wait for it.
/// The page cache does not count as memory of this process.
fn read_ahead(map: &Mmap, offset: usize, length: usize) {
    #[cfg(unix)]
    if length > 0 {
        // If it fails, the part is read when it is needed.
        let _ = map.advise_range(memmap2::Advice::WillNeed, offset, length);
    }
    #[cfg(not(unix))]
    let _ = (map, offset, length);
}

/// Releases pages of a map, which count as memory of this process once they were read. They stay in
/// the page cache of the operating system.
fn release(map: &Mmap, offset: usize, length: usize) {
    #[cfg(unix)]
    if length > 0 {
        // SAFETY: this is a read-only map of a file, so that a released page is read again when it
        // is needed. A failure only costs memory.
        let _ = unsafe {
            map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, offset, length)
        };
    }
    #[cfg(not(unix))]
    let _ = (map, offset, length);
}
