//! What the reference implementation of SliceGPT writes: `NAME_SPARSITY.pt`, a pickled state dictionary, and
//! `NAME_SPARSITY.json`, the widths of its cuts.
//!
//! This knows the two files and what the widths are called, not which tensor has which.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{CheckpointError, Result};

/// A sliced model as the reference implementation writes it.
#[derive(Debug)]
pub struct Reference {
    /// The `.pt` file.
    pub weights: PathBuf,
    /// What the `.json` beside it says. Early versions wrote none.
    pub sizes: Option<Sizes>,
    /// What its name says was asked to be cut, as a fraction of the stream.
    pub sparsity: Option<f64>,
}

/// The `.json` file: widths by the number of the layer.
#[derive(Debug, Default, Deserialize)]
pub struct Sizes {
    #[serde(skip)]
    path: PathBuf,
    hidden_size: usize,
    layers_num: usize,
    #[serde(default)]
    do_slice_head: bool,
    #[serde(default)]
    parallel_blocks: bool,
    #[serde(default)]
    embedding_dimensions: BTreeMap<usize, usize>,
    #[serde(default)]
    attention_input_dimensions: BTreeMap<usize, usize>,
    #[serde(default)]
    attention_output_dimensions: BTreeMap<usize, usize>,
    #[serde(default)]
    mlp_input_dimensions: BTreeMap<usize, usize>,
    #[serde(default)]
    mlp_output_dimensions: BTreeMap<usize, usize>,
    #[serde(default)]
    head_dimension: Option<usize>,
    #[serde(default)]
    const_dimension: Option<usize>,
}

impl Reference {
    /// Finds the model at `path`: a `.pt` file, or a directory that holds one.
    ///
    /// # Errors
    ///
    /// If there is none or more than one, or what lies beside it as `.json` is none of these.
    pub fn open(path: &Path) -> Result<Self> {
        let weights = match path.is_dir() {
            true => the_one_in(path)?,
            false if path.extension().is_some_and(|extension| extension == "pt") => path.into(),
            false => {
                let reason =
                    "give a directory or a .pt file that the reference implementation wrote";
                return Err(wrong(path, reason));
            }
        };
        if !weights.is_file() {
            return Err(wrong(&weights, "no such file"));
        }
        let json = weights.with_extension("json");
        let sizes = if json.is_file() { Some(Sizes::read(&json)?) } else { None };
        let stem = weights.file_stem().map(|stem| stem.to_string_lossy()).unwrap_or_default();
        let sparsity = stem.rsplit_once('_').and_then(|(_, number)| number.parse().ok());
        let sparsity = sparsity.filter(|sparsity| (0.0..1.0).contains(sparsity));
        Ok(Self { weights, sizes, sparsity })
    }
}

impl Sizes {
    fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(CheckpointError::io(path))?;
        let sizes: Self = serde_json::from_str(&text).map_err(|error| {
            wrong(path, &format!("not what the reference implementation writes: {error}"))
        })?;
        Ok(Self { path: path.into(), ..sizes })
    }

    /// Checks that this is about a decoder of `layers` blocks and a stream that was `hidden_size` wide, with
    /// the `widths` that its tensors have: of the embedding, then after every sublayer of which each block
    /// has `depth`.
    ///
    /// # Errors
    ///
    /// Which field says otherwise.
    pub fn check(
        &self,
        hidden_size: usize,
        layers: usize,
        depth: usize,
        widths: &[usize],
    ) -> Result<()> {
        let differs = |field: &str, said: usize, found: usize| {
            let reason = format!(
                "`{field}` is {said}, but the model has {found}: this file belongs to another model"
            );
            if said == found { Ok(()) } else { Err(wrong(&self.path, &reason)) }
        };
        differs("hidden_size", self.hidden_size, hidden_size)?;
        differs("layers_num", self.layers_num, layers)?;
        differs("parallel_blocks", self.parallel_blocks.into(), (depth == 1).into())?;
        if let Some(width) = self.const_dimension {
            let cut = &widths[..widths.len() - usize::from(!self.do_slice_head)];
            for found in cut {
                differs("const_dimension", width, *found)?;
            }
        }
        let each = |field: &str, said: &BTreeMap<usize, usize>, first: usize| {
            said.iter().try_for_each(|(layer, width)| {
                let found = widths.get(layer * depth + first);
                differs(&format!("{field}[{layer}]"), *width, found.copied().unwrap_or(0))
            })
        };
        // One for each table of the embedding, which are added.
        for (table, width) in &self.embedding_dimensions {
            differs(&format!("embedding_dimensions[{table}]"), *width, widths[0])?;
        }
        each("attention_input_dimensions", &self.attention_input_dimensions, 0)?;
        each("attention_output_dimensions", &self.attention_output_dimensions, 1)?;
        each("mlp_input_dimensions", &self.mlp_input_dimensions, depth - 1)?;
        each("mlp_output_dimensions", &self.mlp_output_dimensions, depth)?;
        match self.head_dimension.zip(widths.last()) {
            Some((said, found)) if self.do_slice_head => differs("head_dimension", said, *found),
            _ => Ok(()),
        }
    }
}

fn the_one_in(directory: &Path) -> Result<PathBuf> {
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

    fn sizes(json: &str) -> Sizes {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn widths_by_layer_are_compared_one_by_one() {
        let sizes = sizes(
            r#"{"hidden_size": 8, "layers_num": 2, "do_slice_head": false, "parallel_blocks": false,
                "embedding_dimensions": {"0": 6, "1": 6}, "attention_input_dimensions": {"0": 6, "1": 5},
                "attention_output_dimensions": {"0": 4, "1": 3}, "mlp_input_dimensions": {"0": 4, "1": 3},
                "mlp_output_dimensions": {"0": 5, "1": 8}, "head_dimension": 8, "const_dimension": null}"#,
        );
        sizes.check(8, 2, 2, &[6, 4, 5, 3, 8]).unwrap();
        let says = |widths: &[usize]| sizes.check(8, 2, 2, widths).unwrap_err().to_string();
        assert!(
            says(&[5, 4, 5, 3, 8]).contains("`embedding_dimensions[0]` is 6, but the model has 5")
        );
        assert!(says(&[6, 4, 6, 3, 8]).contains("`attention_input_dimensions[1]`"));
        assert!(says(&[6, 4, 5, 3, 7]).contains("`mlp_output_dimensions[1]`"));
        assert!(sizes.check(9, 2, 2, &[6, 4, 5, 3, 8]).is_err());
        assert!(sizes.check(8, 2, 1, &[6, 4, 5]).is_err());
    }

    #[test]
    fn parallel_blocks_and_a_constant_width_are_understood() {
        let parallel = sizes(
            r#"{"hidden_size": 8, "layers_num": 2, "parallel_blocks": true,
                "embedding_dimensions": {"0": 6}, "attention_input_dimensions": {"0": 6, "1": 5},
                "attention_output_dimensions": {"0": 5, "1": 8}, "mlp_input_dimensions": {"0": 6, "1": 5},
                "mlp_output_dimensions": {"0": 5, "1": 8}}"#,
        );
        parallel.check(8, 2, 1, &[6, 5, 8]).unwrap();
        let constant = sizes(r#"{"hidden_size": 8, "layers_num": 1, "const_dimension": 6}"#);
        constant.check(8, 1, 2, &[6, 6, 8]).unwrap();
        assert!(constant.check(8, 1, 2, &[6, 5, 8]).is_err());
    }

    #[test]
    fn one_file_is_found_with_what_its_name_says() {
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
}
