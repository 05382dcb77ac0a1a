//! [`Adapter`]: its config, and its matrices in a file or in memory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use slicegpt_checkpoint::Checkpoint;
use slicegpt_core::TensorSource;

use crate::config::AdapterConfig;
use crate::error::{AdapterError, Result};
use crate::factors::{Factors, Pair, Squares, transposed};
use crate::patterns::Patterns;
use crate::selection::Targets;

/// A LoRA adapter. One that was read from a directory keeps its values on disk until they are
/// asked for.
pub struct Adapter {
    pub(crate) config: AdapterConfig,
    /// Shapes and scales by module.
    pub(crate) pairs: BTreeMap<String, Pair>,
    /// Shapes of tensors that replace those of the model, by name in the model.
    pub(crate) whole: BTreeMap<String, Vec<usize>>,
    pub(crate) values: Values,
}

/// Where the values are.
pub(crate) enum Values {
    Memory(BTreeMap<String, Factors>),
    File {
        /// The directory.
        directory: PathBuf,
        file: Box<Checkpoint>,
        /// The names in the file of the matrices A and B of a module.
        pairs: BTreeMap<String, [String; 2]>,
        /// The names in the file of whole tensors.
        whole: BTreeMap<String, String>,
    },
}

/// How much an adapter changed a tensor, as Frobenius norms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// The norm of the change.
    pub norm: f64,
    /// The norm of the tensor before.
    pub before: f64,
}

impl Adapter {
    /// An adapter with the given matrices. Of `config`, the modules and the ranks by pattern are
    /// set: every module is named.
    ///
    /// # Errors
    ///
    /// If there are no matrices, two of one module, or any without their sizes or with values that
    /// are not finite.
    pub fn new(mut config: AdapterConfig, factors: Vec<Factors>) -> Result<Self> {
        let refused = |module: &str, reason: &str| {
            Err(AdapterError::Factors { module: module.into(), reason: reason.into() })
        };
        if factors.is_empty() {
            return refused("", "an adapter without matrices changes nothing");
        }
        if !config.alpha.is_finite() || config.rank == 0 {
            return refused("", "the config needs a rank, and a scale that is finite");
        }
        let names = factors.iter().map(|factors| factors.module.clone()).collect();
        config.selection.targets = Targets::Modules(names);
        let others = factors.iter().filter(|factors| factors.rank != config.rank);
        config.rank_pattern =
            others.map(|factors| (factors.module.clone(), factors.rank)).collect();
        let alphas = Patterns::new(&config.alpha_pattern)
            .map_err(|reason| AdapterError::Factors { module: String::new(), reason })?;
        let mut pairs = BTreeMap::new();
        let mut values = BTreeMap::new();
        for factors in factors {
            factors.check()?;
            let alpha = alphas.of(&factors.module).unwrap_or(config.alpha);
            let Factors { rank, inputs, outputs, .. } = factors;
            let scale = config.scale(alpha, rank);
            let pair = Pair { rank, inputs, outputs, scale, embedding: false };
            if pairs.insert(factors.module.clone(), pair).is_some() {
                return refused(&factors.module, "it is given twice");
            }
            values.insert(factors.module.clone(), factors);
        }
        let values = Values::Memory(values);
        Ok(Self { config, pairs, whole: BTreeMap::new(), values })
    }

    /// Its config.
    pub fn config(&self) -> &AdapterConfig {
        &self.config
    }

    /// Its directory, if it was read.
    pub fn directory(&self) -> Option<&Path> {
        match &self.values {
            Values::Memory(_) => None,
            Values::File { directory, .. } => Some(directory),
        }
    }

    /// The modules whose weights it adds to, with shapes and scales, by name.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &Pair)> {
        self.pairs.iter().map(|(module, pair)| (module.as_str(), pair))
    }

    /// Shape and scale of the matrices of `module`, if it has any for it.
    pub fn pair(&self, module: &str) -> Option<&Pair> {
        self.pairs.get(module)
    }

    /// The tensors that it replaces, with their shapes, by name.
    pub fn whole(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.whole.iter().map(|(name, shape)| (name.as_str(), shape.as_slice()))
    }

    /// Names `module` by their last component instead of their whole name, where the adapter
    /// changes all of `modules` that end with it. It makes the config short, and the adapter
    /// selects the same of `modules`.
    #[must_use]
    pub fn with_short_targets<'a>(mut self, modules: impl IntoIterator<Item = &'a str>) -> Self {
        let last = |module: &str| module.rsplit('.').next().unwrap_or_default().to_string();
        let mut other: Vec<String> = modules
            .into_iter()
            .filter(|module| !self.pairs.contains_key(*module))
            .map(last)
            .collect();
        other.sort_unstable();
        let short = |module: &String| {
            let end = last(module);
            if other.binary_search(&end).is_ok() { module.clone() } else { end }
        };
        let mut names: Vec<String> = self.pairs.keys().map(short).collect();
        names.sort_unstable();
        names.dedup();
        self.config.selection.targets = Targets::Modules(names);
        self
    }

    /// The matrices of `module`, if it has any for it.
    ///
    /// # Errors
    ///
    /// If they cannot be read, or hold a NaN or an infinity.
    pub fn factors(&self, module: &str) -> Result<Option<Factors>> {
        let Some(pair) = self.pairs.get(module) else { return Ok(None) };
        match &self.values {
            Values::Memory(values) => Ok(values.get(module).cloned()),
            Values::File { file, pairs, .. } => {
                let Some([a, b]) = pairs.get(module) else { return Ok(None) };
                let Pair { rank, inputs, outputs, embedding, .. } = *pair;
                let module = module.to_string();
                let (a, b) = if embedding {
                    let tokens = file.tensor(a, &[rank, outputs])?;
                    let width = file.tensor(b, &[inputs, rank])?;
                    (transposed(&width, inputs), transposed(&tokens, rank))
                } else {
                    (file.tensor(a, &[rank, inputs])?, file.tensor(b, &[outputs, rank])?)
                };
                Ok(Some(Factors { module, rank, inputs, outputs, a, b }))
            }
        }
    }

    /// What it adds to the weight of `module`, `[outputs, inputs]`: the product `B A`, summed in
    /// float64, times its scale. `None` if it has no matrices for the module.
    ///
    /// # Errors
    ///
    /// As [`Adapter::factors`].
    pub fn delta(&self, module: &str) -> Result<Option<Vec<f32>>> {
        let (Some(pair), Some(factors)) = (self.pairs.get(module), self.factors(module)?) else {
            return Ok(None);
        };
        let mut values = vec![0.0; pair.outputs * pair.inputs];
        factors.add_to(&mut values, pair.scale);
        Ok(Some(values))
    }

    /// The tensor `name` of the model, if the adapter replaces it as a whole.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or holds a NaN or an infinity.
    pub fn replacement(&self, name: &str) -> Result<Option<Vec<f32>>> {
        let Values::File { file, whole, .. } = &self.values else { return Ok(None) };
        match (self.whole.get(name), whole.get(name)) {
            (Some(shape), Some(stored)) => Ok(Some(file.tensor(stored, shape)?)),
            _ => Ok(None),
        }
    }

    /// Applies the adapter to `values`, those of tensor `name` of the model, and returns how much
    /// they changed; `None` if the adapter does not change this tensor.
    ///
    /// # Errors
    ///
    /// If `values` has another length than the adapter says, its own values cannot be read or are
    /// not finite, or the result is not finite. [`Adapter::check`] finds wrong shapes before.
    pub fn apply(&self, name: &str, values: &mut Vec<f32>) -> Result<Option<Change>> {
        let mut change = None;
        let check = |expected: usize, found: usize| {
            if expected == found {
                return Ok(());
            }
            let reason = format!("has {found} values, where the adapter has {expected}");
            let path = self.directory().unwrap_or(Path::new("")).to_path_buf();
            Err(AdapterError::Tensor { path, name: name.into(), reason })
        };
        if let Some(replacement) = self.replacement(name)? {
            check(replacement.len(), values.len())?;
            let mut sum = Squares::default();
            for (new, old) in replacement.iter().zip(&*values) {
                let (new, old) = (f64::from(*new), f64::from(*old));
                sum.change += (new - old).powi(2);
                sum.before += old.powi(2);
            }
            *values = replacement;
            change = Some(sum);
        }
        if let Some(module) = name.strip_suffix(".weight")
            && let Some(pair) = self.pairs.get(module)
            && let Some(factors) = self.factors(module)?
        {
            check(pair.outputs.saturating_mul(pair.inputs), values.len())?;
            let added = factors.add_to(values, pair.scale);
            if !values.iter().all(|x| x.is_finite()) {
                return Err(AdapterError::Overflow { name: name.into() });
            }
            let before = change.as_ref().map_or(added.before, |sum: &Squares| sum.before);
            let replaced = change.as_ref().map_or(0.0, |sum| sum.change);
            change = Some(Squares { change: replaced + added.change, before });
        }
        Ok(change.map(|sum| Change { norm: sum.change.sqrt(), before: sum.before.sqrt() }))
    }
}
