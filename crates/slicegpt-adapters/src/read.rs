//! [`Adapter::open`]: the directory of an adapter.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use slicegpt_checkpoint::Checkpoint;

use crate::adapter::{Adapter, Values};
use crate::config::AdapterConfig;
use crate::error::{AdapterError, Result};
use crate::factors::Pair;
use crate::keys;
use crate::names::{Role, role};
use crate::patterns::Patterns;

/// The name of the config.
pub(crate) const CONFIG: &str = "adapter_config.json";

/// The names of the weights, in the order of preference of PEFT.
const WEIGHTS: [&str; 2] = ["adapter_model.safetensors", "adapter_model.bin"];

/// Bytes of a config that are read. One with a pattern for each of 18 000 modules has half of it.
const MAX_CONFIG: u64 = 4 << 20;

/// Bytes of the name of a tensor. Names are compared with patterns.
const MAX_NAME: usize = 1024;

/// The tensors of a file of weights, by what they are.
#[derive(Default)]
struct Found {
    /// The names of A and B, and whether they are those of an embedding.
    pairs: BTreeMap<String, (Option<String>, Option<String>, bool)>,
    whole: BTreeMap<String, String>,
}

impl Adapter {
    /// Reads the config in `directory` and the names and shapes of its tensors, but no values.
    ///
    /// # Errors
    ///
    /// If a file is missing or malformed, the adapter is of another kind than LoRA, the config has
    /// a key that changes the function and is not implemented, or a tensor is none that PEFT writes
    /// or does not fit the config.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self> {
        let directory = directory.into();
        let config = read_config(&directory)?;
        let exists = |name: &&&str| directory.join(name).symlink_metadata().is_ok();
        let weights = WEIGHTS.iter().find(exists);
        let path = directory.join(weights.ok_or(AdapterError::NoWeights(directory.clone()))?);
        let file = Checkpoint::from_file(Value::Null, &path)?;
        let found = Found::of(&path, &file)?;
        let (pairs, names) = pairs(&directory, &path, &file, &config, found.pairs)?;
        let mut whole = BTreeMap::new();
        for (name, stored) in &found.whole {
            let shape = file.shape(stored).unwrap_or_default().to_vec();
            file.check(stored, &shape)?;
            whole.insert(name.clone(), shape);
        }
        if pairs.is_empty() && whole.is_empty() {
            return Err(AdapterError::Config { path, reason: "it holds no tensors".into() });
        }
        let saved = |name: &String| {
            whole.keys().any(|tensor| format!(".{tensor}").contains(&format!(".{name}.")))
        };
        if let Some(name) = config.modules_to_save.iter().find(|name| !saved(name)) {
            let reason = format!(
                "`modules_to_save` names `{name}`, and {} has no tensor of it; the adapter is \
                 incomplete",
                file_name(&path)
            );
            return Err(AdapterError::Config { path: directory.join(CONFIG), reason });
        }
        let values =
            Values::File { directory, file: Box::new(file), pairs: names, whole: found.whole };
        Ok(Self { config, pairs, whole, values })
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn read_config(directory: &Path) -> Result<AdapterConfig> {
    if !directory.is_dir() {
        return Err(AdapterError::NoDirectory(directory.into()));
    }
    let path = directory.join(CONFIG);
    if path.symlink_metadata().is_err() {
        return Err(AdapterError::NoConfig(directory.into()));
    }
    let text =
        slicegpt_limits::read_text(&path, MAX_CONFIG).map_err(AdapterError::io(path.clone()))?;
    let wrong = |reason: String| AdapterError::Config { path: path.clone(), reason };
    let json: Value =
        serde_json::from_str(&text).map_err(|error| wrong(format!("not valid JSON: {error}")))?;
    let fields = json.as_object().ok_or_else(|| wrong("a JSON object is needed".into()))?;
    keys::parse(&path, fields)
}

impl Found {
    fn of(path: &Path, file: &Checkpoint) -> Result<Self> {
        let mut found = Self::default();
        for name in file.names() {
            let wrong = |reason: &str| {
                let mut shown = name.to_string();
                if let Some((end, _)) = name.char_indices().nth(200) {
                    shown = format!("{}...", &name[..end]);
                }
                AdapterError::Tensor { path: path.into(), name: shown, reason: reason.into() }
            };
            if name.len() > MAX_NAME {
                return Err(wrong("has a name that is too long"));
            }
            let stored = name.to_string();
            let twice = match role(name) {
                Role::A(module) => found.pair(module, false).0.replace(stored).is_some(),
                Role::B(module) => found.pair(module, false).1.replace(stored).is_some(),
                Role::EmbeddingA(module) => found.pair(module, true).0.replace(stored).is_some(),
                Role::EmbeddingB(module) => found.pair(module, true).1.replace(stored).is_some(),
                Role::Whole(tensor) => found.whole.insert(tensor, stored).is_some(),
                Role::Variant(what) => {
                    return Err(wrong(&format!(
                        "{what}; merge the adapter in Python with merge_and_unload()"
                    )));
                }
                Role::Unknown => {
                    return Err(wrong(
                        "has no name that PEFT gives to a tensor of LoRA \
                         (base_model.model.MODULE.lora_A.weight and so on); save the adapter with \
                         PEFT's save_pretrained",
                    ));
                }
            };
            if twice {
                return Err(wrong("is there twice, inside and outside of a base layer"));
            }
        }
        Ok(found)
    }

    fn pair(
        &mut self,
        module: String,
        embedding: bool,
    ) -> &mut (Option<String>, Option<String>, bool) {
        let pair = self.pairs.entry(module).or_default();
        pair.2 |= embedding;
        pair
    }
}

type Names = BTreeMap<String, [String; 2]>;

/// Shapes, scales and names of the matrices, checked against each other and the config.
fn pairs(
    directory: &Path,
    path: &Path,
    file: &Checkpoint,
    config: &AdapterConfig,
    found: BTreeMap<String, (Option<String>, Option<String>, bool)>,
) -> Result<(BTreeMap<String, Pair>, Names)> {
    let malformed = |key: &'static str| {
        let path = directory.join(CONFIG);
        move |reason| AdapterError::Config { path, reason: format!("`{key}`: {reason}") }
    };
    let ranks = Patterns::new(&config.rank_pattern).map_err(malformed("rank_pattern"))?;
    let alphas = Patterns::new(&config.alpha_pattern).map_err(malformed("alpha_pattern"))?;
    ranks.check_work(found.len()).map_err(malformed("rank_pattern"))?;
    alphas.check_work(found.len()).map_err(malformed("alpha_pattern"))?;
    let (mut pairs, mut names) = (BTreeMap::new(), BTreeMap::new());
    for (module, (a, b, embedding)) in found {
        let wrong = |name: &str, reason: String| AdapterError::Tensor {
            path: path.into(),
            name: name.into(),
            reason,
        };
        let (a, b) = match (a, b) {
            (Some(a), Some(b)) => (a, b),
            (one, other) => {
                let name = one.or(other).unwrap_or_default();
                let reason = "stands alone: its module has only one of the matrices A and B; the \
                              file is incomplete, copy it again";
                return Err(wrong(&name, reason.into()));
            }
        };
        let matrix = |name: &str| match file.shape(name) {
            Some(&[rows, columns]) if rows > 0 && columns > 0 => Ok([rows, columns]),
            shape => {
                let shape = shape.unwrap_or_default();
                Err(wrong(name, format!("has shape {shape:?}, expected a matrix")))
            }
        };
        let ([rank, inputs], [outputs, second]) = (matrix(&a)?, matrix(&b)?);
        let expected = ranks.of(&module).unwrap_or(config.rank);
        for (name, shape, found) in [(&a, [rank, inputs], rank), (&b, [outputs, second], second)] {
            if found != expected {
                let reason = format!("has shape {shape:?}, but its rank is {expected} in {CONFIG}");
                return Err(wrong(name, reason));
            }
            file.check(name, &shape)?;
        }
        let scale = config.scale(alphas.of(&module).unwrap_or(config.alpha), rank);
        // The matrices of an embedding are those of its transpose.
        let (inputs, outputs) = if embedding { (outputs, inputs) } else { (inputs, outputs) };
        pairs.insert(module.clone(), Pair { rank, inputs, outputs, scale, embedding });
        names.insert(module, [a, b]);
    }
    Ok((pairs, names))
}
