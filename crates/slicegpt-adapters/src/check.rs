//! [`Adapter::check`]: whether an adapter fits a model.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::adapter::Adapter;
use crate::error::{AdapterError, Result};
use crate::read::CONFIG;
use crate::selection::Matcher;

/// Names and shapes of the tensors of a model.
#[derive(Clone, Debug)]
pub struct BaseModel {
    /// What errors call it.
    pub name: String,
    /// Shapes by name, as transformers names them. A tied head is not one of them.
    pub tensors: BTreeMap<String, Vec<usize>>,
    /// The module of the embedding.
    pub embedding: String,
    /// The module of position embeddings, if there are any.
    pub positions: Option<String>,
    /// The module of the head.
    pub head: String,
    /// Whether head and embedding are one matrix.
    pub tied: bool,
}

/// What a check of an adapter against a model found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checked {
    /// Names in `target_modules` that select no module of this model. PEFT ignores them too.
    pub unmatched: Vec<String>,
    /// Whether embedding and head, which the model ties, are two matrices with the adapter.
    pub unties: bool,
}

impl BaseModel {
    /// The shape of a tensor. A tied head has that of the embedding.
    fn shape(&self, name: &str) -> Option<&[usize]> {
        let is_tied = self.tied && name.strip_suffix(".weight") == Some(&self.head);
        let shape = if is_tied {
            self.tensors.get(&format!("{}.weight", self.embedding))
        } else {
            self.tensors.get(name)
        };
        shape.map(Vec::as_slice)
    }

    /// The modules with a matrix as their weight, and whether they are linear modules other than
    /// the head.
    fn modules(&self) -> impl Iterator<Item = (&str, bool)> {
        let matrices = self.tensors.iter().filter(|(_, shape)| shape.len() == 2);
        let named = matrices.filter_map(|(name, _)| name.strip_suffix(".weight"));
        let head = self.tied.then_some(self.head.as_str());
        named.chain(head).map(|module| {
            let is_outer = module == self.embedding
                || module == self.head
                || self.positions.as_deref() == Some(module);
            (module, !is_outer)
        })
    }
}

impl Adapter {
    /// Checks that `model` has every tensor that the adapter changes, with the same shape, and that
    /// the config selects the modules that there are matrices for, and no others.
    ///
    /// # Errors
    ///
    /// If it does not. The error names the first tensor.
    pub fn check(&self, model: &BaseModel) -> Result<Checked> {
        let path = || self.directory().map_or_else(PathBuf::new, Into::into);
        let pairs = self.pairs.iter();
        let changed = pairs
            .map(|(module, pair)| (format!("{module}.weight"), pair.shape().to_vec()))
            .chain(self.whole.iter().map(|(name, shape)| (name.clone(), shape.clone())));
        for (name, shape) in changed {
            self.fits(model, name, shape)?;
        }
        let matcher = Matcher::new(&self.config.selection, &self.config.modules_to_save).map_err(
            |(key, reason)| AdapterError::Config {
                path: path().join(CONFIG),
                reason: format!("`{key}`: {reason}"),
            },
        )?;
        let selected: BTreeSet<&str> = model
            .modules()
            .filter(|(module, is_inner)| matcher.matches(module, *is_inner))
            .map(|(module, _)| module)
            .collect();
        if selected.is_empty() && self.whole.is_empty() {
            return Err(AdapterError::NothingSelected {
                path: path(),
                targets: self.config.selection.targets.to_string(),
                model: model.name.clone(),
                base: self.config.base.clone(),
            });
        }
        if let Some(module) = self.pairs.keys().find(|module| !selected.contains(module.as_str())) {
            return Err(AdapterError::Unselected { path: path(), module: module.clone() });
        }
        if let Some(module) = selected.iter().find(|module| !self.pairs.contains_key(**module)) {
            return Err(AdapterError::Incomplete {
                path: path(),
                module: module.to_string(),
                model: model.name.clone(),
                base: self.config.base.clone(),
            });
        }
        let unmatched = matcher.unmatched(model.modules().map(|(module, _)| module));
        Ok(Checked { unmatched, unties: self.unties(model)? })
    }

    /// Checks that the model has tensor `name` of `shape`.
    fn fits(&self, model: &BaseModel, name: String, shape: Vec<usize>) -> Result<()> {
        let path = self.directory().map_or_else(PathBuf::new, Into::into);
        let (base, at) = (self.config.base.clone(), model.name.clone());
        let Some(expected) = model.shape(&name) else {
            return Err(AdapterError::Absent { path, name, shape, model: at, base });
        };
        if expected == shape {
            return Ok(());
        }
        let module = name.strip_suffix(".weight").unwrap_or(&name);
        match (expected, shape.as_slice()) {
            ([expected, width], [found, columns])
                if width == columns
                    && [&model.embedding, &model.head].contains(&&module.into()) =>
            {
                let (found, expected) = (*found, *expected);
                Err(AdapterError::Vocabulary { path, name, found, model: at, expected })
            }
            _ => {
                let expected = expected.to_vec();
                Err(AdapterError::Shape { path, name, shape, model: at, expected, base })
            }
        }
    }

    /// Whether the adapter makes two matrices of a tied embedding and head.
    fn unties(&self, model: &BaseModel) -> Result<bool> {
        let changes = |module: &String| {
            self.pairs.contains_key(module) || self.whole.contains_key(&format!("{module}.weight"))
        };
        let changed = [&model.embedding, &model.head].map(changes);
        if !model.tied || changed == [false, false] {
            return Ok(false);
        }
        if !self.config.ties {
            return Ok(true);
        }
        // PEFT then trains one matrix, which the file holds once or twice.
        let has_pairs =
            [&model.embedding, &model.head].iter().any(|it| self.pairs.contains_key(*it));
        if has_pairs || !changed[0] {
            let path = self.directory().map_or_else(PathBuf::new, |it| it.join(CONFIG));
            return Err(AdapterError::Unsupported {
                path,
                key: "ensure_weight_tying".into(),
                value: "true".into(),
                reason: "matrices for a tied embedding or head are not implemented; merge the \
                         adapter in Python with merge_and_unload()"
                    .into(),
            });
        }
        Ok(false)
    }
}
