//! [`Architecture`]: a decoder as llama.cpp knows it, as data; one file for each.
//!
//! llama.cpp fixes per architecture what may vary. A model becomes the first of the architectures
//! listed for its family that can express it. A model whose stream was cut no longer fits the
//! architectures made for its family; the most general one then computes the same function.

mod llama;
mod phi3;
mod qwen2;
mod qwen3;

use slicegpt_models::{Activation, DecoderSpec, Part};

use crate::error::{Cause, GgufError, Result};
use crate::rope::{RopeForm, RopeSupport};

/// A decoder as llama.cpp knows it.
#[derive(Debug)]
pub struct Architecture {
    /// `general.architecture`, and the prefix of its metadata keys.
    pub name: &'static str,
    /// The tensors of a block, after `blk.N.`: more than one part where projections are packed, in
    /// the order of their rows.
    pub(crate) parts: &'static [(&'static str, &'static [Part])],
    /// The linears that may have a bias.
    biases: &'static [Part],
    /// Whether query and key heads have norms.
    head_norm: bool,
    /// Whether the two dimensions of a rotated pair are adjacent (otherwise half a head apart, as
    /// in Hugging Face checkpoints).
    pub(crate) interleaved: bool,
    /// Whether the heads together must be as wide as the stream.
    heads_fill_stream: bool,
    /// What its rotary positions can express.
    rope: RopeSupport,
    /// Whether its metadata has an attention window, 0 where there is none. llama.cpp reads the
    /// window and does not apply it.
    pub(crate) states_window: bool,
    /// Whether llama.cpp takes a model of this many blocks and heads for a "70B", some of whose
    /// tensors it quantises more finely.
    pub(crate) is_70b: fn(&DecoderSpec) -> bool,
}

/// The model types that can be exported, and the architectures they may become, in order of
/// preference.
const BY_MODEL_TYPE: &[(&str, &[&Architecture])] = &[
    ("llama", &[&llama::ARCHITECTURE]),
    ("mistral", &[&llama::ARCHITECTURE]),
    ("qwen2", &[&qwen2::ARCHITECTURE, &llama::ARCHITECTURE]),
    ("qwen3", &[&qwen3::ARCHITECTURE]),
    ("phi3", &[&phi3::ARCHITECTURE, &llama::ARCHITECTURE]),
];

/// The architecture that `spec` becomes, and its rotary positions there.
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
    let inexpressible = |reason: String, cause| GgufError::Inexpressible { reason, cause };
    if let Some(slicing) = &spec.slicing {
        let reason = if slicing.shortcuts {
            "its residual crosses every sublayer through a shortcut matrix"
        } else {
            "its MLPs have different widths, and its norms divide by a width that its stream no \
             longer has"
        };
        return Err(inexpressible(reason.into(), Cause::Slicing));
    }
    if let Some(reason) = misfit_anywhere(spec) {
        return Err(inexpressible(reason, Cause::Model));
    }
    let mut first = None;
    for architecture in *candidates {
        match architecture.fit(spec) {
            Ok(rope) => return Ok((architecture, rope)),
            Err(reason) => first = first.or(Some(reason)),
        }
    }
    Err(inexpressible(first.expect("every model type has a candidate"), Cause::Model))
}

/// A property of `spec` that no architecture of the table has.
fn misfit_anywhere(spec: &DecoderSpec) -> Option<String> {
    if spec.head_bias {
        return Some("its head has a bias".into());
    }
    if spec.mlp.activation != Activation::Silu || !spec.mlp.gated {
        return Some("its MLPs are not gated by SiLU".into());
    }
    if !spec.stays_stock() {
        return Some("its norms are not RMSNorms with a weight".into());
    }
    None
}

impl Architecture {
    /// The rotary positions of `spec` in this architecture, or why it does not fit.
    fn fit(&self, spec: &DecoderSpec) -> std::result::Result<RopeForm, String> {
        let attention = &spec.attention;
        let heads = attention.heads * attention.head_dim;
        if self.heads_fill_stream && heads != spec.hidden_size {
            return Err(format!(
                "its heads are {heads} wide together, its stream is {}, and {} needs them equal",
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
        RopeForm::new(spec, &self.rope, self.name)
    }
}

pub(crate) fn is_linear(part: Part) -> bool {
    match part {
        Part::Query | Part::Key | Part::Value | Part::Output => true,
        Part::Gate | Part::Up | Part::Down => true,
        Part::Norm(_) | Part::QueryNorm | Part::KeyNorm | Part::Shortcut(_) => false,
    }
}
