//! [`Keys`]: the hyperparameters of an architecture in the metadata of a file.

use crate::error::Result;
use crate::file::GgufFile;

/// Keys, without the prefix of the architecture, that are read somewhere in this module.
const READ: &[&str] = &[
    "block_count",
    "context_length",
    "embedding_length",
    "feed_forward_length",
    "vocab_size",
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.value_length",
    "attention.layer_norm_rms_epsilon",
    "attention.layer_norm_epsilon",
    "attention.sliding_window",
    "rope.dimension_count",
    "rope.freq_base",
    "rope.scale_linear",
    "rope.scaling.type",
    "rope.scaling.factor",
    "rope.scaling.original_context_length",
    "rope.scaling.attn_factor",
    "rope.scaling.yarn_beta_fast",
    "rope.scaling.yarn_beta_slow",
];

/// Keys that change nothing.
const SILENT: &[&str] = &["tensor_data_layout", "rope.scaling.finetuned"];

/// Keys with the only value that a model of these architectures computes.
const NEUTRAL: &[(&str, f64)] = &[
    ("expert_count", 0.0),
    ("expert_used_count", 0.0),
    ("logit_scale", 1.0),
    ("residual_scale", 1.0),
    ("embedding_scale", 1.0),
    ("attention.clamp_kqv", 0.0),
    ("attention.max_alibi_bias", 0.0),
    ("rope.scaling.yarn_log_multiplier", 0.0),
    ("rope.scaling.yarn_ext_factor", 1.0),
    ("rope.scaling.yarn_attn_factor", 1.0),
];

/// The hyperparameters of an architecture.
pub(super) struct Keys<'a> {
    pub file: &'a GgufFile,
    architecture: &'a str,
}

impl<'a> Keys<'a> {
    /// Those of `architecture` in `file`.
    ///
    /// # Errors
    ///
    /// If there is one that this version does not know: it may change what the model computes.
    pub fn new(file: &'a GgufFile, architecture: &'a str) -> Result<Self> {
        let keys = Self { file, architecture };
        for key in file.keys() {
            let own = key.strip_prefix(architecture).and_then(|key| key.strip_prefix('.'));
            let Some(own) = own.filter(|own| !READ.contains(own) && !SILENT.contains(own)) else {
                continue;
            };
            let neutral = NEUTRAL.iter().find(|(known, _)| *known == own).map(|(_, value)| *value);
            match neutral {
                Some(neutral) if file.number(key)? == Some(neutral) => {}
                Some(_) => {
                    let reason = format!("`{key}` is set, which is not supported for this model");
                    return Err(file.wrong(reason));
                }
                None => {
                    let reason = format!(
                        "`{key}` is not known to this version, and may change what the model \
                         computes"
                    );
                    return Err(file.wrong(reason));
                }
            }
        }
        Ok(keys)
    }

    /// The whole key.
    pub fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.architecture)
    }

    /// A whole number, if it is given; a list of one value for all blocks counts as that value.
    pub fn count(&self, key: &str) -> Result<Option<u64>> {
        self.file.uniform_count(&self.key(key))
    }

    /// A whole number that must be given.
    pub fn needed(&self, key: &str) -> Result<u64> {
        self.count(key)?.ok_or_else(|| self.missing(key))
    }

    pub fn number(&self, key: &str) -> Result<Option<f64>> {
        self.file.number(&self.key(key))
    }

    pub fn text(&self, key: &str) -> Result<Option<&'a str>> {
        self.file.text(&self.key(key))
    }

    pub fn missing(&self, key: &str) -> crate::GgufError {
        self.file.wrong(format!("`{}` is missing", self.key(key)))
    }
}
