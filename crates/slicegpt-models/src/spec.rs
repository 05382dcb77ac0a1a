//! [`DecoderSpec`]: everything that tells one decoder from another, as data.

use slicegpt_core::Widths;

use crate::{Activation, Names, Rope};

/// A decoder, described. What a family's `config.json` is parsed into.
#[derive(Clone, Debug)]
pub struct DecoderSpec {
    /// `model_type` of `config.json`.
    pub model_type: &'static str,
    /// What its tensors are called.
    pub names: &'static Names,
    /// The number of token ids.
    pub vocab_size: usize,
    /// Width of the stream before slicing.
    pub hidden_size: usize,
    /// The number of blocks.
    pub layers: usize,
    /// The longest sequence the positions allow (`max_position_embeddings`).
    pub context_length: usize,
    /// All norms over the stream.
    pub norm: NormSpec,
    /// All attentions.
    pub attention: AttentionSpec,
    /// All MLPs.
    pub mlp: MlpSpec,
    /// How tokens know where they stand.
    pub positions: Positions,
    /// How attention and MLP share a block.
    pub topology: Topology,
    /// Whether the head is the embedding.
    pub tied: bool,
    /// Whether the head has a bias.
    pub head_bias: bool,
    /// Width of the stream at every cut, once sliced; the residual then crosses every sublayer
    /// through a shortcut matrix.
    pub widths: Option<Widths>,
}

/// The norms over the stream.
#[derive(Clone, Debug, PartialEq)]
pub struct NormSpec {
    /// Whether the mean is subtracted first (LayerNorm).
    pub centers: bool,
    /// Whether it has a weight.
    pub weight: bool,
    /// Whether it has a bias.
    pub bias: bool,
    /// Added to the mean square.
    pub eps: f64,
}

/// The attentions.
#[derive(Clone, Debug, PartialEq)]
pub struct AttentionSpec {
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Whether query, key and value have biases.
    pub input_bias: bool,
    /// Whether the output has a bias.
    pub output_bias: bool,
    /// Epsilon of the RMS norms over each query and key head, if there are any (Qwen3).
    pub head_norm: Option<f64>,
    /// Per layer, the number of tokens a token sees, itself included, if limited.
    pub windows: Vec<Option<usize>>,
}

/// The MLPs.
#[derive(Clone, Debug, PartialEq)]
pub struct MlpSpec {
    /// Width between the two linears.
    pub intermediate_size: usize,
    /// What stands between them.
    pub activation: Activation,
    /// Whether there is a second input linear, multiplied in (`activation(gate) * up`).
    pub gated: bool,
    /// Whether the input linears have biases.
    pub input_bias: bool,
    /// Whether the output linear has a bias.
    pub output_bias: bool,
}

/// How tokens know where they stand.
#[derive(Clone, Debug, PartialEq)]
pub enum Positions {
    /// Queries and keys are rotated.
    Rotary(Rope),
    /// A table is added to the embedding; its first `offset` rows are not used (OPT).
    Learned {
        /// Rows before that of position 0.
        offset: usize,
    },
}

/// How attention and MLP share a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topology {
    /// `[[attention], [mlp]]`: the MLP reads what the attention wrote.
    Sequential,
    /// `[[attention, mlp]]`: both read the same normalised stream (Phi-2).
    Parallel,
}

impl DecoderSpec {
    /// Sublayers per block.
    pub fn depth(&self) -> usize {
        match self.topology {
            Topology::Sequential => 2,
            Topology::Parallel => 1,
        }
    }

    /// Places where the stream can be cut: after the embedding and after every sublayer.
    pub fn cuts(&self) -> usize {
        1 + self.layers * self.depth()
    }

    /// What this decoder is once its norms are folded into the readers, its head untied and its
    /// stream cut to `widths`.
    pub fn sliced(&self, widths: Widths) -> Self {
        let mut spec = self.clone();
        // A norm's bias leaves a bias in whatever read it.
        spec.attention.input_bias |= self.norm.bias;
        spec.mlp.input_bias |= self.norm.bias;
        spec.head_bias |= self.norm.bias;
        spec.norm = NormSpec { centers: false, weight: false, bias: false, eps: self.norm.eps };
        spec.tied = false;
        spec.widths = Some(widths);
        spec
    }

    /// Width of the stream at cut `cut`.
    pub fn width(&self, cut: usize) -> usize {
        self.widths.as_ref().map_or(self.hidden_size, |widths| widths.as_slice()[cut])
    }

    /// Width of the stream that sublayer `sublayer` of block `block` reads, and of the one it
    /// writes.
    pub fn ends(&self, block: usize, sublayer: usize) -> [usize; 2] {
        let cut = block * self.depth() + sublayer;
        [self.width(cut), self.width(cut + 1)]
    }
}
