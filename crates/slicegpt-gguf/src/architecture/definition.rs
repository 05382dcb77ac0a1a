//! [`Architecture`]: a decoder as llama.cpp knows it, as data.

use slicegpt_models::{DecoderSpec, Part};

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
    pub(super) biases: &'static [Part],
    /// Whether query and key heads have norms.
    pub(super) head_norm: bool,
    /// Whether the two dimensions of a rotated pair are adjacent (otherwise half a head apart, as
    /// in Hugging Face checkpoints).
    pub(crate) interleaved: bool,
    /// Whether the heads together must be as wide as the stream.
    pub(super) heads_fill_stream: bool,
    /// What its rotary positions can express.
    pub(super) rope: RopeSupport,
    /// Whether its metadata has an attention window, 0 where there is none. llama.cpp reads the
    /// window and does not apply it.
    pub(crate) states_window: bool,
    /// Whether llama.cpp takes a model of this many blocks and heads for a "70B", some of whose
    /// tensors it quantises more finely.
    pub(crate) is_70b: fn(&DecoderSpec) -> bool,
}

impl Architecture {
    /// The rotary positions of `spec` in this architecture, or why it does not fit.
    pub(super) fn fit(&self, spec: &DecoderSpec) -> std::result::Result<RopeForm, String> {
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
