//! The architectures of llama.cpp, one file each, and the choice of one for a decoder.
//!
//! Each architecture of llama.cpp fixes which properties of a model may vary. A model becomes the
//! first of the architectures listed for its family that can express it. A model whose stream was
//! cut no longer fits the architectures made for its family; the most general one then computes the
//! same function.

mod definition;
mod llama;
mod phi2;
mod phi3;
mod qwen2;
mod qwen3;

use slicegpt_models::{Activation, DecoderSpec};

use crate::error::{Cause, GgufError};
use crate::rope::RopeForm;

pub(crate) use definition::{Architecture, is_linear};

/// The model types that can be exported, and the architectures they may become, in order of
/// preference.
const BY_MODEL_TYPE: &[(&str, &[&Architecture])] = &[
    ("llama", &[&llama::ARCHITECTURE]),
    ("mistral", &[&llama::ARCHITECTURE]),
    ("qwen2", &[&qwen2::ARCHITECTURE, &llama::ARCHITECTURE]),
    ("qwen3", &[&qwen3::ARCHITECTURE]),
    ("phi3", &[&phi3::ARCHITECTURE, &llama::ARCHITECTURE]),
];

/// The architectures that files are read in. The first of a name, unless `packed` is asked for.
const READ: &[(&Architecture, bool)] = &[
    (&llama::ARCHITECTURE, false),
    (&qwen2::ARCHITECTURE, false),
    (&qwen3::ARCHITECTURE, false),
    (&phi3::ARCHITECTURE, true),
    (&phi2::SEPARATE, false),
    (&phi2::PACKED, true),
];

/// The architecture `name` of a file that is read, whose projections of attention are `packed`.
pub(crate) fn named(name: &str, packed: bool) -> Result<&'static Architecture, String> {
    let mut known = READ.iter().filter(|(architecture, _)| architecture.name == name).peekable();
    if known.peek().is_none() {
        let mut names: Vec<&str> = READ.iter().map(|(architecture, _)| architecture.name).collect();
        names.dedup();
        return Err(format!(
            "its architecture is `{name}`; models of {} are read",
            names.join(", ")
        ));
    }
    let fitting = known.find(|(_, is)| *is == packed).map(|(architecture, _)| *architecture);
    fitting.ok_or_else(|| {
        if packed {
            format!("a {name} with packed projections (attn_qkv), which is not known")
        } else {
            format!("a {name} without packed projections (attn_qkv), which is not known")
        }
    })
}

/// The architecture that `spec` becomes, and its rotary positions there.
pub(crate) fn express(spec: &DecoderSpec) -> Result<(&'static Architecture, RopeForm), GgufError> {
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
    if !spec.is_rms_only() {
        return Some("its norms are not RMSNorms with a weight".into());
    }
    None
}
