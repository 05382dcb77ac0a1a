//! [`Architecture`]: a decoder as llama.cpp knows it, as data; one file for each.
//!
//! llama.cpp fixes per architecture what may vary. Which one a model becomes is the first of those its
//! family may take that can express it: a model whose stream was cut no longer fits some that were
//! made for it, and fits the most general one with the same function.

mod llama;
mod phi3;
mod qwen2;
mod qwen3;

use slicegpt_models::{Activation, DecoderSpec, Part};

use crate::error::{GgufError, Result};
use crate::rope::RopeForm;

/// A decoder as llama.cpp knows it.
#[derive(Debug)]
pub struct Architecture {
    /// `general.architecture`, and what its keys begin with.
    pub name: &'static str,
    /// The tensors of a block, after `blk.N.`: more than one part where projections are packed, in the
    /// order of their rows.
    pub(crate) parts: &'static [(&'static str, &'static [Part])],
    /// The linears that may have a bias.
    biases: &'static [Part],
    /// Whether query and key heads have norms.
    head_norm: bool,
    /// Whether a rotated pair of dimensions stands side by side (else half a head apart, as in Hugging
    /// Face checkpoints).
    pub(crate) interleaved: bool,
    /// Whether the heads together must be as wide as the stream.
    heads_fill_stream: bool,
    /// Whether part of a head may be rotated and the rest not.
    pub(crate) partial: bool,
    /// Whether there may be a divisor for each rotary frequency (`rope_freqs`).
    pub(crate) frequency_factors: bool,
    /// Whether there may be two lists of them, for short and for long sequences.
    pub(crate) long_factors: bool,
    /// Whether it wants to be told its attention window, 0 where there is none. It does not compute it.
    pub(crate) states_window: bool,
    /// Whether llama.cpp takes a model of this many blocks and heads for a "70B", which it quantises a
    /// little finer.
    pub(crate) is_70b: fn(&DecoderSpec) -> bool,
}

/// The model types that can be exported, and what they may become, the best first.
const BY_MODEL_TYPE: &[(&str, &[&Architecture])] = &[
    ("llama", &[&llama::ARCHITECTURE]),
    ("mistral", &[&llama::ARCHITECTURE]),
    ("qwen2", &[&qwen2::ARCHITECTURE, &llama::ARCHITECTURE]),
    ("qwen3", &[&qwen3::ARCHITECTURE]),
    ("phi3", &[&phi3::ARCHITECTURE, &llama::ARCHITECTURE]),
];

/// What would work where a model was cut in a way of our own.
const AGAIN: &str = "compress the dense model again with --method shared --align 256 (and no \
                     --mlp-widths free)";

/// What would work where the model itself is the matter.
const NOTHING: &str = "nothing that --method shared does changes that; run it in transformers";

/// What `spec` becomes, and its rotary positions there.
pub(crate) fn express(spec: &DecoderSpec) -> Result<(&'static Architecture, RopeForm)> {
    let known = BY_MODEL_TYPE.iter().find(|(model_type, _)| *model_type == spec.model_type);
    let Some((_, candidates)) = known else {
        let types: Vec<_> = BY_MODEL_TYPE.iter().map(|(model_type, _)| *model_type).collect();
        let reason = format!(
            "GGUF is written for model types {}, and this is `{}`",
            types.join(", "),
            spec.model_type
        );
        return Err(GgufError::Unsupported { reason });
    };
    let inexpressible = |reason: String, advice| GgufError::Inexpressible { reason, advice };
    if let Some(slicing) = &spec.slicing {
        let reason = if slicing.shortcuts {
            "its residual crosses every sublayer through a shortcut matrix (--method per-layer)"
        } else {
            "its MLPs have widths of their own, and its norms divide by a width that its stream no longer \
             has"
        };
        return Err(inexpressible(reason.into(), AGAIN));
    }
    if let Some(reason) = misfit_anywhere(spec) {
        return Err(inexpressible(reason, NOTHING));
    }
    let mut first = None;
    for architecture in *candidates {
        match architecture.fit(spec) {
            Ok(rope) => return Ok((architecture, rope)),
            Err(reason) => first = first.or(Some(reason)),
        }
    }
    Err(inexpressible(first.expect("every model type has a candidate"), NOTHING))
}

/// What no architecture of the table has.
fn misfit_anywhere(spec: &DecoderSpec) -> Option<String> {
    if spec.head_bias {
        return Some("its head has a bias".into());
    }
    if spec.mlp.activation != Activation::Silu || !spec.mlp.gated {
        return Some("its MLPs are not gated by SiLU".into());
    }
    if !spec.is_rms_only() {
        return Some("its norms are not RMSNorms with a weight".into());
    }
    None
}

impl Architecture {
    /// The rotary positions of `spec` here, or why it does not fit.
    fn fit(&self, spec: &DecoderSpec) -> std::result::Result<RopeForm, String> {
        let attention = &spec.attention;
        let heads = attention.heads * attention.head_dim;
        if self.heads_fill_stream && heads != spec.hidden_size {
            return Err(format!(
                "its heads are {heads} wide together, its stream is {}, and {} wants them alike",
                spec.hidden_size, self.name
            ));
        }
        if attention.head_norm.is_some() != self.head_norm {
            return Err(format!("{} has no such norms of query and key heads", self.name));
        }
        let biased = self.parts.iter().flat_map(|(_, parts)| *parts).find(|part| {
            is_linear(**part) && spec.linear(0, **part).1 && !self.biases.contains(part)
        });
        if let Some(part) = biased {
            return Err(format!("{} has no bias for {part:?} projections", self.name));
        }
        RopeForm::new(spec, self)
    }
}

pub(crate) fn is_linear(part: Part) -> bool {
    match part {
        Part::Query | Part::Key | Part::Value | Part::Output => true,
        Part::Gate | Part::Up | Part::Down => true,
        Part::Norm(_) | Part::QueryNorm | Part::KeyNorm | Part::Shortcut(_) => false,
    }
}
