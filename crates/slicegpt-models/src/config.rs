//! Reading `config.json`: typed fields, and errors that name the field.

use serde_json::{Map, Value};

use crate::rope::{Rope, Scaling};

/// Why a `config.json` does not describe a decoder that this crate can run.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The architecture is unknown.
    #[error(
        "unsupported architecture: model_type {model_type}; supported model types: {supported}"
    )]
    Unsupported {
        /// `model_type` of config.json.
        model_type: String,
        /// The supported model types.
        supported: String,
    },
    /// A field is missing.
    #[error("field `{0}` is missing")]
    Missing(String),
    /// A field has the wrong type or an impossible value.
    #[error("field `{field}` is {found}, expected {expected}")]
    Invalid {
        /// Name of the field.
        field: String,
        /// Its value.
        found: String,
        /// The values that are possible.
        expected: String,
    },
    /// The model is of a known family, but a variant that SliceGPT or this crate cannot handle.
    #[error("{0}")]
    Refused(String),
}

pub(crate) type Result<T> = std::result::Result<T, ConfigError>;

/// `config.json` as typed fields; `null` counts as absent.
#[derive(Clone, Copy)]
pub(crate) struct Config<'a>(&'a Map<String, Value>);

/// The largest count that is accepted, so that products of sizes do not overflow.
pub(crate) const LARGEST: usize = 1 << 24;

/// The largest width that is accepted, of the stream, of an MLP or of a head. The widest models
/// known have streams of about 20 000.
const WIDEST: usize = 1 << 20;

/// The most dimensions of a head that are rotated. The known models have up to 256.
const MOST_ROTATED: usize = 1 << 16;

/// The field with the length of the original training.
const ORIGINAL: &str = "original_max_position_embeddings";

/// What Phi-3's class takes for it.
const PHI3_ORIGINAL: usize = 4096;

/// Characters of a value that an error shows.
const SHOWN: usize = 100;

impl<'a> Config<'a> {
    pub fn new(value: &'a Value) -> Result<Self> {
        value.as_object().map(Self).ok_or_else(|| ConfigError::Invalid {
            field: "config.json".into(),
            found: kind(value).into(),
            expected: "a JSON object".into(),
        })
    }

    /// Whether `field` is present, even as `null`, which some families distinguish from absence.
    pub fn mentions(&self, field: &str) -> bool {
        self.0.contains_key(field)
    }

    pub fn get(&self, field: &str) -> Option<&'a Value> {
        self.0.get(field).filter(|value| !value.is_null())
    }

    fn typed<T>(
        &self,
        field: &str,
        expected: &str,
        convert: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>> {
        self.get(field)
            .map(|value| {
                convert(value).ok_or_else(|| ConfigError::Invalid {
                    field: field.into(),
                    found: shown(value),
                    expected: expected.into(),
                })
            })
            .transpose()
    }

    fn require<T>(&self, field: &str, value: Option<T>) -> Result<T> {
        value.ok_or_else(|| ConfigError::Missing(field.into()))
    }

    /// A whole number in `1..=largest`, so that products of sizes do not overflow and a config
    /// cannot ask for any amount of memory.
    fn up_to(&self, field: &str, largest: u64) -> Result<Option<usize>> {
        let fits = |value: &Value| {
            value.as_u64().filter(|n| (1..=largest).contains(n)).map(|n| n as usize)
        };
        self.typed(field, &format!("a whole number from 1 to {largest}"), fits)
    }

    pub fn count_or_none(&self, field: &str) -> Result<Option<usize>> {
        self.up_to(field, LARGEST as u64)
    }

    pub fn count(&self, field: &str) -> Result<usize> {
        self.require(field, self.count_or_none(field)?)
    }

    pub fn width_or_none(&self, field: &str) -> Result<Option<usize>> {
        self.up_to(field, WIDEST as u64)
    }

    /// A width, or a number of heads.
    pub fn width(&self, field: &str) -> Result<usize> {
        self.require(field, self.width_or_none(field)?)
    }

    /// The number of blocks.
    pub fn layers(&self) -> Result<usize> {
        let field = "num_hidden_layers";
        self.require(field, self.up_to(field, 1 << 13)?)
    }

    /// The longest sequence: `max_position_embeddings`, or as old Llama conversions call it
    /// `max_sequence_length`, or else `default`, which is that of transformers.
    pub fn context_length(&self, default: usize) -> Result<usize> {
        match self.count_or_none("max_position_embeddings")? {
            Some(length) => Ok(length),
            None => Ok(self.count_or_none("max_sequence_length")?.unwrap_or(default)),
        }
    }

    /// A number of tokens, however large.
    pub fn tokens_or_none(&self, field: &str) -> Result<Option<usize>> {
        self.up_to(field, 1 << 32)
    }

    pub fn number_or_none(&self, field: &str) -> Result<Option<f64>> {
        self.typed(field, "a finite number", |value| value.as_f64().filter(|x| x.is_finite()))
    }

    /// A finite number above 0.
    pub fn positive_or_none(&self, field: &str) -> Result<Option<f64>> {
        let positive = |value: &Value| value.as_f64().filter(|x| x.is_finite() && *x > 0.0);
        self.typed(field, "a number above 0", positive)
    }

    pub fn positive(&self, field: &str) -> Result<f64> {
        self.require(field, self.positive_or_none(field)?)
    }

    pub fn flag(&self, field: &str, default: bool) -> Result<bool> {
        Ok(self.typed(field, "true or false", Value::as_bool)?.unwrap_or(default))
    }

    pub fn text(&self, field: &str) -> Result<Option<&'a str>> {
        self.typed(field, "a string", Value::as_str)
    }

    fn numbers(&self, field: &str) -> Result<Vec<f64>> {
        let list = self.typed(field, "a list of numbers", |value| {
            value.as_array()?.iter().map(Value::as_f64).collect::<Option<Vec<f64>>>()
        })?;
        self.require(field, list)
    }

    fn object(&self, field: &str) -> Result<Option<Config<'a>>> {
        self.typed(field, "an object", |value| value.as_object().map(Config))
    }

    /// Refuses the config if `field` is present with another value than `neutral`: it changes the
    /// function that the model computes, in a way that this crate does not implement.
    pub fn refuse_unless(&self, field: &str, neutral: Value, why: &str) -> Result<()> {
        match self.get(field) {
            Some(value) if *value != neutral => {
                let value = shown(value);
                Err(ConfigError::Refused(format!("`{field}` is {value}: {why}")))
            }
            _ => Ok(()),
        }
    }

    /// The layers' attention windows: `layer_types` if given (transformers writes it since 4.53),
    /// else `window` for layers from `first` on.
    pub fn windows(
        &self,
        layers: usize,
        window: Option<usize>,
        first: usize,
    ) -> Result<Vec<Option<usize>>> {
        let types = self.typed("layer_types", "a list of strings", |value| {
            value.as_array()?.iter().map(Value::as_str).collect::<Option<Vec<&str>>>()
        })?;
        let Some(types) = types else {
            return Ok((0..layers).map(|layer| window.filter(|_| layer >= first)).collect());
        };
        if types.len() != layers {
            return Err(ConfigError::Invalid {
                field: "layer_types".into(),
                found: format!("a list of {}", types.len()),
                expected: format!("one entry for each of {layers} layers"),
            });
        }
        types
            .into_iter()
            .map(|kind| match kind {
                "full_attention" => Ok(None),
                "sliding_attention" => Ok(window),
                other => Err(ConfigError::Refused(format!("layer type `{other}` is not known"))),
            })
            .collect()
    }

    /// Rotary positions over `dim` of each head's dimensions. Reads `rope_theta` and
    /// `rope_scaling`, or `rope_parameters` as transformers 5 writes them.
    pub fn rope(&self, dim: usize, context_length: usize) -> Result<Rope> {
        if dim == 0 || !dim.is_multiple_of(2) {
            return Err(ConfigError::Refused(format!(
                "rotary positions over {dim} dimensions of a head: an even number is needed"
            )));
        }
        if dim > MOST_ROTATED {
            return Err(ConfigError::Refused(format!(
                "rotary positions over {dim} dimensions of a head (`head_dim`, or `hidden_size` \
                 divided by `num_attention_heads`): at most {MOST_ROTATED} are possible"
            )));
        }
        let inner = self.object("rope_parameters")?.or(self.object("rope_scaling")?);
        if inner.is_some_and(|inner| inner.0.values().any(Value::is_object)) {
            return Err(ConfigError::Refused(
                "rotary parameters that differ from layer to layer are not supported".into(),
            ));
        }
        let theta = match inner {
            Some(inner) => inner.positive_or_none("rope_theta")?,
            None => None,
        };
        let theta = theta.or(self.positive_or_none("rope_theta")?).unwrap_or(10000.0);
        let scaling = match inner {
            None => Scaling::None,
            Some(inner) => self.scaling(inner, dim, context_length)?,
        };
        Ok(Rope { dim, theta, scaling })
    }

    /// `int(head_dim * partial_rotary_factor)`, the rotated part of each head.
    pub fn rotary_dim(&self, head_dim: usize, default: f64) -> Result<usize> {
        let field = "partial_rotary_factor";
        let inner = match self.object("rope_parameters")? {
            Some(inner) => inner.number_or_none(field)?,
            None => None,
        };
        let factor = inner.or(self.number_or_none(field)?).unwrap_or(default);
        if factor > 0.0 && factor <= 1.0 {
            Ok((head_dim as f64 * factor) as usize)
        } else {
            Err(ConfigError::Invalid {
                field: field.into(),
                found: factor.to_string(),
                expected: "a fraction above 0".into(),
            })
        }
    }

    /// The length of the original training, which may be inside the rotary parameters or beside
    /// them. transformers takes the outer one for some kinds and in some versions, so that two
    /// different ones are refused. Phi-3 has an outer one in any case.
    fn original_length(&self, inner: Config<'a>) -> Result<Option<usize>> {
        let outer = match self.count_or_none(ORIGINAL)? {
            None if self.text("model_type")? == Some("phi3") => Some(PHI3_ORIGINAL),
            outer => outer,
        };
        match (inner.count_or_none(ORIGINAL)?, outer) {
            (Some(inner), Some(outer)) if inner != outer => Err(ConfigError::Refused(format!(
                "`{ORIGINAL}` is {inner} in the rotary parameters and {outer} outside of them; \
                 leave one that transformers reads"
            ))),
            (inner, outer) => Ok(inner.or(outer)),
        }
    }

    /// The factor of longrope, by default the `ratio` of the two lengths. If the original length is
    /// outside the rotary parameters, transformers 4 takes the ratio in any case.
    fn stretch(&self, inner: Config<'a>, ratio: f64) -> Result<f64> {
        match (inner.positive_or_none("factor")?, self.get(ORIGINAL)) {
            (Some(factor), Some(_)) if (factor / ratio - 1.0).abs() > 1e-6 => {
                Err(ConfigError::Refused(format!(
                    "`factor` of longrope is {factor}, and `max_position_embeddings` is {ratio} \
                     times `{ORIGINAL}`: versions of transformers take different ones; leave out \
                     `factor`"
                )))
            }
            (factor, _) => Ok(factor.unwrap_or(ratio)),
        }
    }

    fn scaling(&self, inner: Config<'a>, dim: usize, context_length: usize) -> Result<Scaling> {
        // Older checkpoints say `type`, newer ones `rope_type`.
        let kind = inner.text("rope_type")?.or(inner.text("type")?).unwrap_or("default");
        let original = match kind {
            "llama3" | "yarn" | "longrope" | "su" => self.original_length(inner)?,
            _ => None,
        };
        match kind {
            "default" => Ok(Scaling::None),
            "linear" => Ok(Scaling::Linear { factor: inner.positive("factor")? }),
            "dynamic" => Ok(Scaling::Dynamic { factor: inner.positive("factor")?, context_length }),
            "llama3" => Ok(Scaling::Llama3 {
                factor: inner.positive("factor")?,
                low: inner.positive("low_freq_factor")?,
                high: inner.positive("high_freq_factor")?,
                original: self.require(ORIGINAL, original)?,
            }),
            "yarn" => Ok(Scaling::Yarn {
                factor: inner.positive("factor")?,
                original: original.unwrap_or(context_length),
                beta_fast: inner.number_or_none("beta_fast")?.unwrap_or(32.0),
                beta_slow: inner.number_or_none("beta_slow")?.unwrap_or(1.0),
                truncate: inner.flag("truncate", true)?,
                attention_factor: inner.number_or_none("attention_factor")?,
                mscale: inner
                    .number_or_none("mscale")?
                    .zip(inner.number_or_none("mscale_all_dim")?),
            }),
            // Phi-3 first called it `su`.
            "longrope" | "su" => {
                let original = original.unwrap_or(context_length);
                let lists = ["short_factor", "long_factor"].map(|field| {
                    let list = inner.numbers(field)?;
                    if list.len() == dim / 2 && list.iter().all(|x| *x > 0.0) {
                        Ok(list)
                    } else {
                        Err(ConfigError::Invalid {
                            field: field.into(),
                            found: format!("{} numbers", list.len()),
                            expected: format!("{} numbers above 0", dim / 2),
                        })
                    }
                });
                let [short, long] = lists;
                Ok(Scaling::LongRope {
                    short: short?,
                    long: long?,
                    original,
                    factor: self.stretch(inner, context_length as f64 / original as f64)?,
                    attention_factor: inner.number_or_none("attention_factor")?,
                })
            }
            other => Err(ConfigError::Refused(format!(
                "rope scaling of type `{other}` is not supported \
                 (supported: default, linear, dynamic, llama3, yarn, longrope)"
            ))),
        }
    }
}

/// The beginning of a value.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
