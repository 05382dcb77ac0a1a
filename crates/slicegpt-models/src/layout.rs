//! The tensors of a checkpoint: names, shapes, and which weight of the decoder each one is.
//!
//! Declared once here and in a family's [`Names`]; loading, writing, parameter counts and size
//! predictions all derive from it.

use crate::{DecoderSpec, Positions, Slicing};

/// A weight of a block, under one name for all families.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// The norm of a sublayer.
    Norm(usize),
    /// Attention: query projection.
    Query,
    /// Attention: key projection.
    Key,
    /// Attention: value projection.
    Value,
    /// Attention: output projection.
    Output,
    /// Attention: norm of each query head.
    QueryNorm,
    /// Attention: norm of each key head.
    KeyNorm,
    /// MLP: gate projection.
    Gate,
    /// MLP: up projection.
    Up,
    /// MLP: down projection.
    Down,
    /// The shortcut of a sublayer, `[width in, width out]`, once sliced.
    Shortcut(usize),
}

/// Which tensor of a [`Part`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `[out, in]` for linears, as Hugging Face stores them.
    Weight,
    /// `[out]`.
    Bias,
}

/// The names of a family's tensors.
#[derive(Debug)]
pub struct Names {
    /// A prefix that some checkpoints omit (`model.`).
    pub base: &'static str,
    /// The token embedding.
    pub embedding: &'static str,
    /// The position embedding, if there is one.
    pub positions: Option<&'static str>,
    /// The prefix before the number of a block.
    pub blocks: &'static str,
    /// The tensors of a block, after its number: more than one part where projections are packed,
    /// in the order of their rows.
    pub parts: &'static [(&'static str, &'static [Part])],
    /// The last norm.
    pub norm: &'static str,
    /// The head.
    pub head: &'static str,
    /// Not a tensor: the field of `config.json` that holds the width of the MLPs.
    pub intermediate_size: &'static str,
    /// Not a tensor: the field of `config.json` that holds the epsilon of the norms, if it has one.
    pub norm_eps: Option<&'static str>,
}

/// One tensor of a checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Its shape, as stored.
    pub shape: Vec<usize>,
    /// The parts it holds, stacked by rows; empty outside blocks.
    pub parts: Vec<(Part, Kind)>,
}

impl Entry {
    fn outer(name: String, shape: Vec<usize>) -> Self {
        Self { name, shape, parts: Vec::new() }
    }

    /// The number of its elements.
    pub fn numel(&self) -> usize {
        self.shape.iter().product()
    }
}

impl DecoderSpec {
    /// All tensors: embedding, blocks, last norm, head. A tied head is not one of them.
    pub fn entries(&self) -> Vec<Entry> {
        let mut entries = vec![self.embedding_entry()];
        entries.extend(self.position_entry());
        entries.extend((0..self.layers).flat_map(|block| self.block_entries(block)));
        entries.extend(self.norm_entries());
        entries.extend(self.head_entries());
        entries
    }

    /// The number of parameters, a tied head once.
    pub fn parameters(&self) -> usize {
        self.entries().iter().map(Entry::numel).sum()
    }

    /// The token embedding, `[vocab_size, width]`.
    pub fn embedding_entry(&self) -> Entry {
        let name = format!("{}.weight", self.names.embedding);
        Entry::outer(name, vec![self.vocab_size, self.width(0)])
    }

    /// The position embedding, `[positions, width]`.
    pub fn position_entry(&self) -> Option<Entry> {
        let Positions::Learned { offset } = self.positions else { return None };
        let name = self.names.positions.expect("a family with learned positions names them");
        let rows = self.context_length + offset;
        Some(Entry::outer(format!("{name}.weight"), vec![rows, self.width(0)]))
    }

    /// The last norm: no tensor, a weight, or a weight and a bias.
    pub fn norm_entries(&self) -> Vec<Entry> {
        let width = vec![self.width(self.cuts() - 1)];
        let entry = |suffix| Entry::outer(format!("{}.{suffix}", self.names.norm), width.clone());
        let refitted = self.slicing.as_ref().is_some_and(|slicing| slicing.last_norm_weight);
        let weight = (self.norm.weight || refitted).then(|| entry("weight"));
        let bias = self.norm.bias.then(|| entry("bias"));
        weight.into_iter().chain(bias).collect()
    }

    /// The head, `[vocab_size, width]`, and its bias; no tensor if it is tied.
    pub fn head_entries(&self) -> Vec<Entry> {
        let name = self.names.head;
        let weight = (!self.tied).then(|| {
            let shape = vec![self.vocab_size, self.width(self.cuts() - 1)];
            Entry::outer(format!("{name}.weight"), shape)
        });
        let bias =
            self.head_bias.then(|| Entry::outer(format!("{name}.bias"), vec![self.vocab_size]));
        weight.into_iter().chain(bias).collect()
    }

    /// The tensors of block `block`.
    pub fn block_entries(&self, block: usize) -> Vec<Entry> {
        self.names.parts.iter().flat_map(|(name, parts)| self.part(block, name, parts)).collect()
    }

    fn part(&self, block: usize, name: &str, parts: &[Part]) -> Vec<Entry> {
        let name = format!("{}{block}.{name}", self.names.blocks);
        let entry = |kind: Kind, shape: Vec<usize>| Entry {
            name: match kind {
                Kind::Weight => format!("{name}.weight"),
                Kind::Bias => format!("{name}.bias"),
            },
            shape,
            parts: parts.iter().map(|part| (*part, kind)).collect(),
        };
        match parts[0] {
            Part::Norm(sublayer) => {
                let shape = vec![self.stream_widths_around(block, sublayer)[0]];
                let weight = self.norm.weight.then(|| entry(Kind::Weight, shape.clone()));
                let bias = self.norm.bias.then(|| entry(Kind::Bias, shape));
                weight.into_iter().chain(bias).collect()
            }
            Part::QueryNorm | Part::KeyNorm => match self.attention.head_norm {
                Some(_) => vec![entry(Kind::Weight, vec![self.attention.head_dim])],
                None => Vec::new(),
            },
            // A shortcut is a bare parameter, not a linear: no suffix, `[in, out]`.
            Part::Shortcut(sublayer) => match &self.slicing {
                Some(Slicing { shortcuts: true, .. }) => vec![Entry {
                    name,
                    shape: self.stream_widths_around(block, sublayer).to_vec(),
                    parts: vec![(parts[0], Kind::Weight)],
                }],
                _ => Vec::new(),
            },
            _ => {
                let linears: Vec<_> = parts.iter().map(|part| self.linear(block, *part)).collect();
                let ([inputs, _], bias) = linears[0];
                let outputs = linears.iter().map(|([_, outputs], _)| outputs).sum();
                let weight = entry(Kind::Weight, vec![outputs, inputs]);
                let bias = bias.then(|| entry(Kind::Bias, vec![outputs]));
                [weight].into_iter().chain(bias).collect()
            }
        }
    }

    /// Inputs and outputs of a linear, and whether it has a bias.
    ///
    /// # Panics
    ///
    /// If `part` is not a linear.
    pub fn linear(&self, block: usize, part: Part) -> ([usize; 2], bool) {
        let attention = &self.attention;
        let mlp = &self.mlp;
        let queries = attention.heads * attention.head_dim;
        let keys = attention.kv_heads * attention.head_dim;
        let [attention_in, attention_out] = self.stream_widths_around(block, 0);
        let [mlp_in, mlp_out] = self.stream_widths_around(block, self.depth() - 1);
        let intermediate = self.intermediate_size(block);
        match part {
            Part::Query => ([attention_in, queries], attention.input_bias),
            Part::Key | Part::Value => ([attention_in, keys], attention.input_bias),
            Part::Output => ([queries, attention_out], attention.output_bias),
            Part::Gate | Part::Up => ([mlp_in, intermediate], mlp.input_bias),
            Part::Down => ([intermediate, mlp_out], mlp.output_bias),
            Part::Norm(_) | Part::QueryNorm | Part::KeyNorm | Part::Shortcut(_) => {
                unreachable!("{part:?} is not a linear")
            }
        }
    }
}
