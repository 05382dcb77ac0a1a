//! The tensors of a checkpoint: names, shapes, and which weight of the decoder each one is.
//!
//! Declared once here and in a family's [`Names`](crate::Names); loading, writing, parameter counts
//! and size predictions all derive from it.

use crate::names::{Entry, Kind, Part};
use crate::{DecoderSpec, Positions, Slicing};

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
        let [mlp_in, mlp_out] = self.stream_widths_around(block, self.sublayers_per_block() - 1);
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
