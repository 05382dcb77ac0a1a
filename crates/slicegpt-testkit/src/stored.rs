//! The tensors in the weight files of a checkpoint, from the headers of the files.

use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::{Metadata, TensorInfo};

/// The header of a safetensors file.
///
/// # Panics
///
/// If `path` is not one.
pub fn header(path: &Path) -> Metadata {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    SafeTensors::read_metadata(&bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display())).1
}

/// Name, description and file of every tensor in the weight files of `directory`, by name.
///
/// # Panics
///
/// If there are no weight files.
pub fn stored_tensors(directory: &Path) -> Vec<(String, TensorInfo, String)> {
    let mut all = Vec::new();
    for entry in directory.read_dir().expect("a directory") {
        let file = entry.expect("an entry").file_name().to_string_lossy().into_owned();
        if file.starts_with("model") && file.ends_with(".safetensors") {
            let header = header(&directory.join(&file));
            let tensors = header.tensors().into_iter();
            all.extend(tensors.map(|(name, info)| (name, info.clone(), file.clone())));
        }
    }
    assert!(!all.is_empty(), "no weights in {}", directory.display());
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

/// The size of all tensors in `directory`, in bytes.
///
/// # Panics
///
/// As [`stored_tensors`].
pub fn stored_bytes(directory: &Path) -> usize {
    let tensors = stored_tensors(directory);
    tensors.iter().map(|(_, info, _)| info.data_offsets.1 - info.data_offsets.0).sum()
}

/// The number of elements of all tensors in `directory`.
///
/// # Panics
///
/// As [`stored_tensors`].
pub fn stored_elements(directory: &Path) -> usize {
    let tensors = stored_tensors(directory);
    tensors.iter().map(|(_, info, _)| info.shape.iter().product::<usize>()).sum()
}
