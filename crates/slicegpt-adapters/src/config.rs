//! [`AdapterConfig`]: what `adapter_config.json` says about the function of an adapter, and its
//! JSON.

use serde_json::{Map, Value, json};

use crate::selection::{Selection, Targets};

/// What `adapter_config.json` says about the function of an adapter. It is LoRA for a causal
/// language model.
#[derive(Clone, Debug, PartialEq)]
pub struct AdapterConfig {
    /// The model that it was trained on (`base_model_name_or_path`).
    pub base: Option<String>,
    /// The revision of that model.
    pub revision: Option<String>,
    /// The rank (`r`).
    pub rank: usize,
    /// The numerator of the scale (`lora_alpha`).
    pub alpha: f64,
    /// Dropout while it was trained. It is off when the model is used.
    pub dropout: f64,
    /// Whether the scale is `alpha / sqrt(rank)` and not `alpha / rank` (`use_rslora`).
    pub rank_stabilized: bool,
    /// Ranks of modules that have another one, by pattern.
    pub rank_pattern: Vec<(String, usize)>,
    /// Numerators of modules that have another one, by pattern.
    pub alpha_pattern: Vec<(String, f64)>,
    /// The modules that are changed.
    pub selection: Selection,
    /// Which biases were trained.
    pub bias: Bias,
    /// Modules that were trained and are saved as a whole.
    pub modules_to_save: Vec<String>,
    /// Whether embedding and head stay one matrix where a model ties them
    /// (`ensure_weight_tying`).
    pub ties: bool,
}

/// Which biases were trained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bias {
    /// None of them.
    #[default]
    None,
    /// All of them.
    All,
    /// Those of modules with matrices.
    LoraOnly,
}

impl Bias {
    /// The value with this name in the config.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::None, Self::All, Self::LoraOnly].into_iter().find(|bias| bias.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::All => "all",
            Self::LoraOnly => "lora_only",
        }
    }
}

impl AdapterConfig {
    /// A config for matrices of rank `rank`, whose product is scaled by `alpha / rank`. The modules
    /// are those that [`Adapter::new`](crate::Adapter::new) is given.
    pub fn new(base: Option<String>, rank: usize, alpha: f64) -> Self {
        Self {
            base,
            revision: None,
            rank,
            alpha,
            dropout: 0.0,
            rank_stabilized: false,
            rank_pattern: Vec::new(),
            alpha_pattern: Vec::new(),
            selection: Selection {
                targets: Targets::Modules(Vec::new()),
                exclude: None,
                layers: Vec::new(),
                layers_pattern: Vec::new(),
            },
            bias: Bias::None,
            modules_to_save: Vec::new(),
            ties: false,
        }
    }

    /// The factor of a product of matrices of rank `rank`.
    pub(crate) fn scale(&self, alpha: f64, rank: usize) -> f64 {
        if self.rank_stabilized { alpha / (rank as f64).sqrt() } else { alpha / rank as f64 }
    }

    /// The config as JSON. Keys that versions of PEFT do not all have are left out where they have
    /// their default.
    pub(crate) fn to_json(&self) -> Value {
        let Self { selection, .. } = self;
        let pattern = |pairs: &mut dyn Iterator<Item = (String, Value)>| -> Value {
            Value::Object(pairs.collect::<Map<_, _>>())
        };
        let mut json = json!({
            "alpha_pattern": pattern(
                &mut self.alpha_pattern.iter().map(|(name, alpha)| (name.clone(), number(*alpha))),
            ),
            "auto_mapping": null,
            "base_model_name_or_path": self.base,
            "bias": self.bias.name(),
            "fan_in_fan_out": false,
            "inference_mode": true,
            "init_lora_weights": true,
            "lora_alpha": number(self.alpha),
            "lora_dropout": number(self.dropout),
            "modules_to_save": null,
            "peft_type": "LORA",
            "r": self.rank,
            "rank_pattern": pattern(
                &mut self.rank_pattern.iter().map(|(name, rank)| (name.clone(), json!(rank))),
            ),
            "revision": self.revision,
            "target_modules": targets(&selection.targets),
            "task_type": "CAUSAL_LM",
            "use_rslora": self.rank_stabilized,
        });
        let mut set = |key: &str, is_set: bool, value: Value| {
            if is_set {
                json[key] = value;
            }
        };
        set("modules_to_save", !self.modules_to_save.is_empty(), json!(self.modules_to_save));
        set(
            "exclude_modules",
            selection.exclude.is_some(),
            selection.exclude.as_ref().map_or(Value::Null, targets),
        );
        set("layers_to_transform", !selection.layers.is_empty(), json!(selection.layers));
        set(
            "layers_pattern",
            !selection.layers_pattern.is_empty(),
            json!(selection.layers_pattern),
        );
        set("ensure_weight_tying", self.ties, json!(true));
        json
    }
}

/// A number that is an integer where it can be, as PEFT writes `lora_alpha`.
fn number(x: f64) -> Value {
    if x.fract() == 0.0 && x.abs() < 1e15 { json!(x as i64) } else { json!(x) }
}

fn targets(targets: &Targets) -> Value {
    match targets {
        Targets::AllLinear => json!("all-linear"),
        Targets::Modules(names) => json!(names),
        Targets::Pattern(text) => json!(text),
    }
}
