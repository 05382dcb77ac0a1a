//! [`Tensor`]: a tensor of the file, and the rows of the checkpoint that it is made of.

use std::ops::Range;

use slicegpt_models::{DecoderSpec, Entry, Kind, Part};

use crate::architecture::{Architecture, is_linear};
use crate::rope::RopeForm;

/// A tensor of the file.
#[derive(Debug)]
pub(crate) struct Tensor {
    pub name: String,
    pub shape: Vec<usize>,
    pub content: Content,
}

/// Where the values of a tensor come from.
#[derive(Debug)]
pub(crate) enum Content {
    /// These values.
    Values(Vec<f32>),
    /// Rows of tensors of the checkpoint (elements, where these are vectors), concatenated.
    Selections(Vec<Selection>),
}

/// Rows of one tensor of the checkpoint.
#[derive(Debug)]
pub(crate) struct Selection {
    /// The family's name of the tensor.
    pub name: String,
    pub shape: Vec<usize>,
    pub rows: Rows,
}

/// The selected rows, and their order.
#[derive(Debug)]
pub(crate) enum Rows {
    /// A range, in order.
    Range(Range<usize>),
    /// Indices of rows, each with a factor.
    Order(Vec<(u32, f32)>),
}

/// All tensors of `spec`, named and ordered as `architecture` needs them.
pub(crate) fn tensors(
    spec: &DecoderSpec,
    architecture: &Architecture,
    rope: &RopeForm,
) -> Vec<Tensor> {
    let factors = rope.factors.iter().map(|(name, values)| Tensor {
        name: (*name).into(),
        shape: vec![values.len()],
        content: Content::Values(values.clone()),
    });
    let outer = |entry: Entry, name: &str| {
        let rows = Rows::Range(0..entry.shape[0]);
        let shape = entry.shape.clone();
        let selection = Selection { name: entry.name, shape: entry.shape, rows };
        Tensor { name: name.into(), shape, content: Content::Selections(vec![selection]) }
    };
    let mut tensors: Vec<Tensor> = factors.collect();
    tensors.push(outer(spec.embedding_entry(), "token_embd.weight"));
    for block in 0..spec.layers {
        let entries = spec.block_entries(block);
        for (name, parts) in architecture.parts {
            for (kind, suffix) in [(Kind::Weight, "weight"), (Kind::Bias, "bias")] {
                let selection = |part: &Part| {
                    let (entry, within) = find(spec, block, &entries, *part, kind)?;
                    let rows = rows(spec, architecture, rope, *part, within);
                    let (name, shape) = (entry.name.clone(), entry.shape.clone());
                    Some(Selection { name, shape, rows })
                };
                let selections: Vec<Selection> = parts.iter().filter_map(selection).collect();
                if !selections.is_empty() {
                    let mut shape = selections[0].shape.clone();
                    shape[0] = selections.iter().map(|selection| selection.rows.len()).sum();
                    let name = format!("blk.{block}.{name}.{suffix}");
                    tensors.push(Tensor { name, shape, content: Content::Selections(selections) });
                }
            }
        }
    }
    for (entries, name) in [(spec.norm_entries(), "output_norm"), (spec.head_entries(), "output")] {
        tensors.extend(entries.into_iter().map(|entry| {
            let suffix = if entry.name.ends_with(".bias") { "bias" } else { "weight" };
            outer(entry, &format!("{name}.{suffix}"))
        }));
    }
    tensors
}

/// The tensor that holds a part, and the rows of the part in it.
fn find<'a>(
    spec: &DecoderSpec,
    block: usize,
    entries: &'a [Entry],
    part: Part,
    kind: Kind,
) -> Option<(&'a Entry, Range<usize>)> {
    entries.iter().find_map(|entry| {
        let at = entry.parts.iter().position(|other| *other == (part, kind))?;
        let outputs = |(part, _): &(Part, Kind)| {
            if is_linear(*part) { spec.linear(block, *part).0[1] } else { entry.shape[0] }
        };
        let start = entry.parts[..at].iter().map(outputs).sum();
        Some((entry, start..start + outputs(&entry.parts[at])))
    })
}

/// The rows `within` of a part, in the order that the architecture needs.
fn rows(
    spec: &DecoderSpec,
    architecture: &Architecture,
    rope: &RopeForm,
    part: Part,
    within: Range<usize>,
) -> Rows {
    let is_rotated = matches!(part, Part::Query | Part::Key);
    if !is_rotated || !architecture.interleaved {
        return Rows::Range(within);
    }
    // The two dimensions of a pair are half of the rotated part apart, and become adjacent.
    let (head_dim, half) = (spec.attention.head_dim, rope.rotated / 2);
    let head = |start: usize| {
        let pairs = (0..half).flat_map(|i| [i, i + half]).map(|i| (i, 1.0));
        let unrotated = (2 * half..head_dim).map(|i| (i, 1.0 / rope.unrotated_scale));
        pairs.chain(unrotated).map(move |(i, scale)| ((start + i) as u32, scale))
    };
    Rows::Order(within.step_by(head_dim).flat_map(head).collect())
}

impl Rows {
    pub fn len(&self) -> usize {
        match self {
            Self::Range(range) => range.len(),
            Self::Order(order) => order.len(),
        }
    }
}
