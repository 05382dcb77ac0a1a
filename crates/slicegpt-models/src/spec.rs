//! [`DecoderSpec`]: everything in which decoders differ, as data.

use slicegpt_core::Widths;

use crate::{Activation, Names, Rope};

/// The description of a decoder: what a family's `config.json` is parsed into.
#[derive(Clone, Debug)]
pub struct DecoderSpec {
    /// `model_type` of `config.json`.
    pub model_type: &'static str,
    /// The names of its tensors.
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
    /// How tokens get their positions.
    pub positions: Positions,
    /// How attention and MLP are arranged in a block.
    pub topology: Topology,
    /// Whether the head is the embedding.
    pub tied: bool,
    /// Whether the family refuses a stream whose width is not a multiple of the number of heads.
    pub width_of_heads: bool,
    /// Whether the head has a bias.
    pub head_bias: bool,
    /// How its stream has been cut, if the result is no longer an architecture of the family.
    pub slicing: Option<Slicing>,
}

/// A stream that has been cut. Its norms have no weight and no bias, and divide by the width before
/// slicing.
#[derive(Clone, Debug, PartialEq)]
pub struct Slicing {
    /// Width of the stream at every cut.
    pub widths: Widths,
    /// Whether the residual crosses every sublayer through a shortcut matrix. Without shortcuts,
    /// all widths are the same.
    pub shortcuts: bool,
    /// Whether the last norm has a weight, so that the head can be the embedding.
    pub last_norm_weight: bool,
    /// Width of the MLP of each block, if they differ.
    pub intermediate_sizes: Option<Vec<usize>>,
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
    /// The function between them.
    pub activation: Activation,
    /// Whether there is a second input linear, multiplied in (`activation(gate) * up`).
    pub gated: bool,
    /// Whether the input linears have biases.
    pub input_bias: bool,
    /// Whether the output linear has a bias.
    pub output_bias: bool,
}

/// How tokens get their positions.
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

/// How attention and MLP are arranged in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topology {
    /// `[[attention], [mlp]]`: the MLP reads what the attention wrote.
    Sequential,
    /// `[[attention, mlp]]`: both read the same normalised stream (Phi-2).
    Parallel,
}

impl DecoderSpec {
    /// Sublayers per block.
    pub fn sublayers_per_block(&self) -> usize {
        match self.topology {
            Topology::Sequential => 2,
            Topology::Parallel => 1,
        }
    }

    /// The number of cuts, places where the stream has a width: after the embedding and after every
    /// sublayer.
    pub fn cuts(&self) -> usize {
        1 + self.layers * self.sublayers_per_block()
    }

    /// Whether all norms are RMSNorms. A model whose stream is cut to one basis is then still one
    /// of its family: the bare norm can be written as an RMSNorm (`Norm::to_rms_norm`).
    pub fn is_rms_only(&self) -> bool {
        self.norm.weight && !self.norm.bias && !self.norm.centers
    }

    /// This decoder with its stream cut to `width` in one basis for all cuts, without shortcuts,
    /// and its MLPs to `intermediate_size`: a model of its own family if [`Self::is_rms_only`].
    ///
    /// # Panics
    ///
    /// If `width` is above the hidden size.
    pub fn in_shared_basis(&self, width: usize, intermediate_size: usize, tied: bool) -> Self {
        let mut spec = if self.is_rms_only() {
            let eps = self.norm.eps * self.hidden_size as f64 / width as f64;
            let norm = NormSpec { eps, ..self.norm.clone() };
            Self { hidden_size: width, norm, ..self.clone() }
        } else {
            let widths = Widths::new(vec![width; self.cuts()], self.cuts(), self.hidden_size);
            let widths = widths.expect("a width between 1 and the hidden size");
            self.with_slicing(Slicing {
                widths,
                shortcuts: false,
                last_norm_weight: tied,
                intermediate_sizes: None,
            })
        };
        spec.mlp.intermediate_size = intermediate_size;
        spec.tied = tied;
        spec
    }

    /// [`DecoderSpec::in_shared_basis`] with a different MLP width for each block: never a model of
    /// its own family.
    ///
    /// # Panics
    ///
    /// If `width` is above the hidden size, or there is not one MLP width per block.
    pub fn in_shared_basis_with_widths(
        &self,
        width: usize,
        intermediate_sizes: Vec<usize>,
        tied: bool,
    ) -> Self {
        assert_eq!(intermediate_sizes.len(), self.layers, "one MLP width per block");
        let widths = Widths::new(vec![width; self.cuts()], self.cuts(), self.hidden_size);
        let widths = widths.expect("a width between 1 and the hidden size");
        let mut spec = self.with_slicing(Slicing {
            widths,
            shortcuts: false,
            last_norm_weight: tied,
            intermediate_sizes: Some(intermediate_sizes),
        });
        spec.tied = tied;
        spec
    }

    /// This decoder with the blocks `kept` only, in that order.
    ///
    /// # Panics
    ///
    /// If there is no such block, or the stream has been cut.
    pub fn with_layers(&self, kept: &[usize]) -> Self {
        assert!(self.slicing.is_none(), "blocks are removed before the stream is cut");
        let mut spec = self.clone();
        spec.layers = kept.len();
        spec.attention.windows = kept.iter().map(|index| self.attention.windows[*index]).collect();
        spec
    }

    /// This decoder with `count` key and value heads, and the query heads that share them.
    pub fn with_kv_heads(&self, count: usize) -> Self {
        let mut spec = self.clone();
        spec.attention.heads = self.attention.heads / self.attention.kv_heads * count;
        spec.attention.kv_heads = count;
        spec
    }

    /// Width of the MLP of block `block`.
    pub fn intermediate_size(&self, block: usize) -> usize {
        let own = self.slicing.as_ref().and_then(|slicing| slicing.intermediate_sizes.as_ref());
        own.map_or(self.mlp.intermediate_size, |sizes| sizes[block])
    }

    /// This decoder with its norms folded into the readers, its head untied and its stream cut to
    /// `widths`, with a different basis at each cut: the residual crosses by shortcuts.
    pub fn in_per_layer_bases(&self, widths: Widths) -> Self {
        self.with_slicing(Slicing {
            widths,
            shortcuts: true,
            last_norm_weight: false,
            intermediate_sizes: None,
        })
    }

    /// This decoder with its norms folded into the readers and its stream cut. The head stays tied
    /// to the embedding only if the last norm has a weight.
    pub fn with_slicing(&self, slicing: Slicing) -> Self {
        let mut spec = self.clone();
        // The bias of a norm becomes a bias of its readers.
        spec.attention.input_bias |= self.norm.bias;
        spec.mlp.input_bias |= self.norm.bias;
        spec.head_bias |= self.norm.bias;
        // A basis of full width is not applied at all, so norms may centre as before.
        let uncut = !slicing.shortcuts && slicing.widths.head() == self.hidden_size;
        let centers = self.norm.centers && uncut;
        spec.norm = NormSpec { centers, weight: false, bias: false, eps: self.norm.eps };
        spec.tied &= slicing.last_norm_weight;
        spec.slicing = Some(slicing);
        spec
    }

    /// Width of the stream at cut `cut`.
    pub fn width(&self, cut: usize) -> usize {
        match &self.slicing {
            Some(slicing) => slicing.widths.as_slice()[cut],
            None => self.hidden_size,
        }
    }

    /// Widths of the stream before and after sublayer `sublayer` of block `block`.
    pub fn stream_widths_around(&self, block: usize, sublayer: usize) -> [usize; 2] {
        let cut = block * self.sublayers_per_block() + sublayer;
        [self.width(cut), self.width(cut + 1)]
    }
}
