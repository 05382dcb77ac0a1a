//! [`Reference`]: a model as the reference implementation of SliceGPT writes it:
//! `NAME_SPARSITY.pt`, a pickled state dictionary, and `NAME_SPARSITY.json`, the widths of its
//! cuts.
//!
//! This finds and reads the two files. The caller knows which tensor has which width.

use std::path::{Path, PathBuf};

use slicegpt_provenance::ReferenceSizes;

use crate::error::{CheckpointError, Result};

/// A sliced model as the reference implementation writes it.
#[derive(Debug)]
pub struct Reference {
    /// The `.pt` file.
    pub weights: PathBuf,
    /// The contents of the `.json` file. Early versions wrote none.
    pub sizes: Option<ReferenceSizes>,
    /// The fraction of the stream that was to be cut, by the file's name.
    pub sparsity: Option<f64>,
}

impl Reference {
    /// Finds the model at `path`: a `.pt` file, or a directory that holds one.
    ///
    /// # Errors
    ///
    /// If there is none or more than one, or its `.json` file cannot be read.
    pub fn open(path: &Path) -> Result<Self> {
        let weights = if path.is_dir() {
            the_only_one_in(path)?
        } else if path.extension().is_some_and(|extension| extension == "pt") {
            path.into()
        } else {
            let reason = "give a directory or a .pt file that the reference implementation wrote";
            return Err(wrong(path, reason));
        };
        if !weights.is_file() {
            return Err(wrong(&weights, "no such file"));
        }
        let json = weights.with_extension("json");
        let sizes = if json.is_file() { Some(read_sizes(&json)?) } else { None };
        let stem = weights.file_stem().map(|stem| stem.to_string_lossy()).unwrap_or_default();
        let sparsity = stem.rsplit_once('_').and_then(|(_, number)| number.parse().ok());
        let sparsity = sparsity.filter(|sparsity| (0.0..1.0).contains(sparsity));
        Ok(Self { weights, sizes, sparsity })
    }

    /// Checks the widths in the `.json` file, if there is one, as [`ReferenceSizes::check`] does.
    ///
    /// # Errors
    ///
    /// If the file belongs to another model.
    pub fn check_sizes(
        &self,
        hidden_size: usize,
        layers: usize,
        sublayers: usize,
        widths: &[usize],
    ) -> Result<()> {
        let Some(sizes) = &self.sizes else { return Ok(()) };
        sizes
            .check(hidden_size, layers, sublayers, widths)
            .map_err(|error| wrong(&self.weights.with_extension("json"), &error.to_string()))
    }
}

fn read_sizes(path: &Path) -> Result<ReferenceSizes> {
    let most = slicegpt_limits::MAX_DESCRIPTION;
    let text = slicegpt_limits::read_text(path, most).map_err(CheckpointError::io(path))?;
    ReferenceSizes::parse(&text).map_err(|error| {
        wrong(path, &format!("not what the reference implementation writes: {error}"))
    })
}

fn the_only_one_in(directory: &Path) -> Result<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(CheckpointError::io(directory))? {
        let path = entry.map_err(CheckpointError::io(directory))?.path();
        if path.is_file() && path.extension().is_some_and(|extension| extension == "pt") {
            found.push(path);
        }
    }
    found.sort();
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(wrong(
            directory,
            "holds no .pt file, so nothing the reference implementation wrote",
        )),
        [first, ..] => {
            let reason = format!(
                "holds {} .pt files: give one of them, such as {}",
                found.len(),
                first.display()
            );
            Err(wrong(directory, &reason))
        }
    }
}

fn wrong(path: &Path, reason: &str) -> CheckpointError {
    CheckpointError::Reference { path: path.into(), reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_found_by_its_only_file() {
        let folder = tempfile::tempdir().unwrap();
        let says = || Reference::open(folder.path()).unwrap_err().to_string();
        assert!(says().contains("no .pt file"), "{}", says());
        std::fs::write(folder.path().join("Model-7b_0.25.pt"), "").unwrap();
        let found = Reference::open(folder.path()).unwrap();
        assert_eq!((found.sparsity, found.sizes.is_none()), (Some(0.25), true));
        std::fs::write(folder.path().join("Model-7b_0.25.json"), "[]").unwrap();
        assert!(says().contains("Model-7b_0.25.json"), "{}", says());
        std::fs::write(folder.path().join("other_0.3.pt"), "").unwrap();
        assert!(says().contains("2 .pt files"), "{}", says());
    }

    #[test]
    fn widths_of_another_model_are_refused_by_file() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a_0.1.pt"), "").unwrap();
        let sizes = r#"{"hidden_size": 8, "layers_num": 1, "const_dimension": 6}"#;
        std::fs::write(folder.path().join("a_0.1.json"), sizes).unwrap();
        let found = Reference::open(folder.path()).unwrap();
        found.check_sizes(8, 1, 2, &[6, 6, 8]).unwrap();
        let error = found.check_sizes(8, 1, 2, &[6, 5, 8]).unwrap_err().to_string();
        assert!(error.contains("a_0.1.json: `const_dimension` is 6"), "{error}");
    }
}
