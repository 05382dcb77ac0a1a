//! Every key of PEFT's `LoraConfig`: read, without effect on the function, or refused.

use std::path::Path;

use serde_json::{Map, Value};

use crate::config::{AdapterConfig, Bias};
use crate::error::{AdapterError, Result};
use crate::selection::{Selection, Targets};

/// Largest rank. It bounds what a product may cost.
const MAX_RANK: u64 = 1 << 16;

/// Characters of a key or value that an error shows.
const SHOWN: usize = 80;

/// Names in a list that all names are compared with one by one.
const MAX_NAMES: usize = 64;

/// Keys that are read below.
const READ: &[&str] = &[
    "peft_type",
    "task_type",
    "base_model_name_or_path",
    "revision",
    "r",
    "lora_alpha",
    "lora_dropout",
    "use_rslora",
    "rank_pattern",
    "alpha_pattern",
    "target_modules",
    "exclude_modules",
    "layers_to_transform",
    "layers_pattern",
    "fan_in_fan_out",
    "bias",
    "modules_to_save",
    "init_lora_weights",
    "ensure_weight_tying",
];

/// Keys that matter while an adapter is made or trained, and not for what it computes.
const WITHOUT_EFFECT: &[&str] = &[
    "auto_mapping",
    "peft_version",
    "inference_mode",
    "megatron_core",
    "loftq_config",
    "eva_config",
    "corda_config",
    "lora_ga_config",
    "qalora_group_size",
    "runtime_config",
    // It changes the backward pass only.
    "velora_config",
];

const MERGE_THERE: &str =
    "merge the adapter in Python with merge_and_unload(), if PEFT can, and use the merged model";

/// Keys that make the adapter compute something else where they are set, and what that is.
const REFUSED: &[(&str, &str)] = &[
    ("use_dora", "DoRA is not implemented"),
    ("use_qalora", "QALoRA is not implemented"),
    ("lora_bias", "biases of matrices B are not implemented"),
    ("trainable_token_indices", "single trained rows of an embedding are not implemented"),
    ("target_parameters", "parameters that are not the weights of modules are not implemented"),
    ("layer_replication", "repeated layers are not implemented"),
    ("megatron_config", "layers of Megatron are not implemented"),
    ("alora_invocation_tokens", "an adapter for some tokens only (aLoRA) cannot be merged"),
    ("arrow_config", "adapters chosen for each token (Arrow) cannot be merged"),
    ("use_bdlora", "BD-LoRA is not implemented"),
    ("kasa_config", "KaSA is not implemented"),
    ("monteclora_config", "MonteCLoRA is not implemented"),
];

/// Starts of values of `init_lora_weights` with which PEFT changes the weights of the model, so
/// that the adapter does not belong to the original ones.
const CHANGING_INITS: &[&str] = &["pissa", "olora", "corda", "lora_ga", "loftq"];

/// Values of `init_lora_weights` that leave the weights of the model as they are.
const INITS: &[&str] = &["gaussian", "eva", "orthogonal", "mica"];

/// Reads the config `fields` of the file `path`.
pub(crate) fn parse(path: &Path, fields: &Map<String, Value>) -> Result<AdapterConfig> {
    let keys = Keys { path, fields };
    keys.refuse_others()?;
    keys.check_init()?;
    let rank = match keys.whole("r")? {
        Some(rank) if (1..=MAX_RANK).contains(&rank) => rank as usize,
        Some(_) => return Err(keys.wrong("r", "a rank from 1 to 65536 is needed")),
        None => return Err(keys.wrong("r", "it is missing")),
    };
    let alpha = keys.finite("lora_alpha")?;
    let alpha = alpha.ok_or_else(|| keys.wrong("lora_alpha", "it is missing"))?;
    let mut config = AdapterConfig::new(keys.text("base_model_name_or_path")?, rank, alpha);
    config.revision = keys.text("revision")?;
    config.dropout = keys.finite("lora_dropout")?.unwrap_or(0.0);
    config.rank_stabilized = keys.is_true("use_rslora")?;
    config.ties = keys.is_true("ensure_weight_tying")?;
    config.rank_pattern = keys.pattern("rank_pattern", |value| {
        let rank = value.as_u64().filter(|rank| (1..=MAX_RANK).contains(rank));
        rank.map(|rank| rank as usize)
    })?;
    config.alpha_pattern = keys.pattern("alpha_pattern", Value::as_f64)?;
    if let Some(name) = keys.text("bias")? {
        config.bias = Bias::parse(&name)
            .ok_or_else(|| keys.wrong("bias", "`none`, `all` or `lora_only` is needed"))?;
    }
    config.modules_to_save = keys.names("modules_to_save", MAX_NAMES)?;
    config.selection = keys.selection()?;
    Ok(config)
}

/// The config of an adapter.
struct Keys<'a> {
    path: &'a Path,
    fields: &'a Map<String, Value>,
}

impl Keys<'_> {
    /// The value of `key`, unless it is null.
    fn get(&self, key: &str) -> Option<&Value> {
        self.fields.get(key).filter(|value| !value.is_null())
    }

    fn wrong(&self, key: &str, reason: impl std::fmt::Display) -> AdapterError {
        AdapterError::Config { path: self.path.into(), reason: format!("`{key}`: {reason}") }
    }

    fn unsupported(&self, key: &str, reason: impl Into<String>) -> AdapterError {
        let value = self.fields.get(key).map(Value::to_string).unwrap_or_default();
        let [key, value] = [key, &value].map(|text| match text.char_indices().nth(SHOWN) {
            Some((end, _)) => format!("{}...", &text[..end]),
            None => text.to_string(),
        });
        let (path, reason) = (self.path.into(), reason.into());
        AdapterError::Unsupported { path, key, value, reason }
    }

    /// Refuses other kinds of adapters, and keys that change the function and are not implemented.
    fn refuse_others(&self) -> Result<()> {
        match self.text("peft_type")?.as_deref() {
            Some("LORA") => {}
            Some(_) => {
                let reason = format!("only LORA is implemented; {MERGE_THERE}");
                return Err(self.unsupported("peft_type", reason));
            }
            None => return Err(self.wrong("peft_type", "it is missing")),
        }
        if !matches!(self.text("task_type")?.as_deref(), None | Some("CAUSAL_LM")) {
            let reason = "only adapters of causal language models (CAUSAL_LM) are read";
            return Err(self.unsupported("task_type", reason));
        }
        for (key, what) in REFUSED {
            if self.fields.get(*key).is_some_and(|value| !is_off(value)) {
                return Err(self.unsupported(key, format!("{what}; {MERGE_THERE}")));
            }
        }
        if self.is_true("fan_in_fan_out")? {
            let reason = "no model that is read here stores its linear weights as [inputs, \
                          outputs]; it must be false";
            return Err(self.unsupported("fan_in_fan_out", reason));
        }
        let known = |key: &String| {
            READ.contains(&key.as_str())
                || WITHOUT_EFFECT.contains(&key.as_str())
                || REFUSED.iter().any(|(other, _)| other == key)
        };
        match self.fields.iter().find(|(key, value)| !known(key) && !is_off(value)) {
            Some((key, _)) => {
                let reason = "this key is not known here, and may change what the adapter \
                              computes; remove it from the file if it does not";
                Err(self.unsupported(key, reason))
            }
            None => Ok(()),
        }
    }

    fn check_init(&self) -> Result<()> {
        let Some(Value::String(name)) = self.get("init_lora_weights") else {
            return match self.get("init_lora_weights") {
                None | Some(Value::Bool(_)) => Ok(()),
                Some(_) => Err(self.wrong("init_lora_weights", "a name or true is needed")),
            };
        };
        let name = name.to_lowercase();
        if INITS.contains(&name.as_str()) {
            return Ok(());
        }
        let reason = if CHANGING_INITS.iter().any(|start| name.starts_with(start)) {
            "PEFT changes the weights of the model when it makes such an adapter, which therefore \
             does not fit the original ones; save it again in PEFT with save_pretrained(..., \
             path_initial_model_for_weight_conversion=...), or merge it there"
        } else {
            "this initialisation is not known here, and may change the weights of the model; merge \
             the adapter in Python with merge_and_unload()"
        };
        Err(self.unsupported("init_lora_weights", reason))
    }

    fn selection(&self) -> Result<Selection> {
        let targets = self.targets("target_modules")?;
        let targets = targets
            .ok_or_else(|| self.wrong("target_modules", "it is missing; name the modules"))?;
        let exclude = self.targets("exclude_modules")?;
        // PEFT knows the word for the modules to select only.
        if exclude == Some(Targets::AllLinear) {
            return Err(self.unsupported("exclude_modules", "name the modules instead"));
        }
        let layers_pattern = match self.get("layers_pattern") {
            Some(Value::String(name)) if name.is_empty() => Vec::new(),
            Some(Value::String(name)) => vec![name.clone()],
            _ => self.names("layers_pattern", MAX_NAMES)?,
        };
        let layers = match self.get("layers_to_transform") {
            None => Vec::new(),
            Some(Value::Array(list)) => {
                list.iter().map(Value::as_u64).collect::<Option<Vec<_>>>().ok_or_else(|| {
                    self.wrong("layers_to_transform", "numbers of layers are needed")
                })?
            }
            Some(value) => vec![value.as_u64().ok_or_else(|| {
                self.wrong("layers_to_transform", "the number of a layer is needed")
            })?],
        };
        let layers: Vec<usize> = layers.into_iter().map(|layer| layer as usize).collect();
        let in_some_layers = !layers.is_empty() || !layers_pattern.is_empty();
        if in_some_layers && !matches!(targets, Targets::Modules(_)) {
            let reason = "PEFT takes it only with a list of `target_modules`";
            return Err(self.unsupported("layers_to_transform", reason));
        }
        Ok(Selection { targets, exclude, layers, layers_pattern })
    }

    fn targets(&self, key: &str) -> Result<Option<Targets>> {
        Ok(match self.get(key) {
            None => None,
            Some(Value::String(text)) if text.to_lowercase() == "all-linear" => {
                Some(Targets::AllLinear)
            }
            Some(Value::String(text)) => Some(Targets::Pattern(text.clone())),
            Some(_) => Some(Targets::Modules(self.names(key, usize::MAX)?)),
        })
    }

    fn text(&self, key: &str) -> Result<Option<String>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(self.wrong(key, "a string is needed")),
        }
    }

    fn is_true(&self, key: &str) -> Result<bool> {
        match self.get(key) {
            None => Ok(false),
            Some(Value::Bool(it)) => Ok(*it),
            Some(_) => Err(self.wrong(key, "true or false is needed")),
        }
    }

    fn whole(&self, key: &str) -> Result<Option<u64>> {
        let whole = |value: &Value| {
            value.as_u64().ok_or_else(|| self.wrong(key, "a whole number is needed"))
        };
        self.get(key).map(whole).transpose()
    }

    fn finite(&self, key: &str) -> Result<Option<f64>> {
        let finite = |value: &Value| {
            let number = value.as_f64().filter(|number| number.is_finite());
            number.ok_or_else(|| self.wrong(key, "a number is needed"))
        };
        self.get(key).map(finite).transpose()
    }

    fn names(&self, key: &str, most: usize) -> Result<Vec<String>> {
        let Some(value) = self.get(key) else { return Ok(Vec::new()) };
        let names = value.as_array().and_then(|list| {
            list.iter().map(|name| name.as_str().map(str::to_string)).collect::<Option<Vec<_>>>()
        });
        match names {
            Some(names) if names.len() <= most => Ok(names),
            Some(names) => {
                Err(self
                    .wrong(key, format!("{} names, where at most {most} are read", names.len())))
            }
            None => Err(self.wrong(key, "a list of names is needed")),
        }
    }

    fn pattern<T>(
        &self,
        key: &str,
        value: impl Fn(&Value) -> Option<T>,
    ) -> Result<Vec<(String, T)>> {
        let Some(json) = self.get(key) else { return Ok(Vec::new()) };
        let fields =
            json.as_object().ok_or_else(|| self.wrong(key, "numbers by name are needed"))?;
        fields
            .iter()
            .map(|(name, json)| {
                let number = value(json);
                let wrong = || self.wrong(key, "numbers by name are needed, ranks from 1 to 65536");
                number.map(|number| (name.clone(), number)).ok_or_else(wrong)
            })
            .collect()
    }
}

/// Whether an option with this value is switched off.
fn is_off(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    }
}
