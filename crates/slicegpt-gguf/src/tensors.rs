//! [`Tensor`]: every tensor of the file, and which rows of the checkpoint it is made of.

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

/// Where its values come from.
#[derive(Debug)]
pub(crate) enum Content {
    /// From here.
    Values(Vec<f32>),
    /// Rows of tensors of the checkpoint (elements, where these are vectors), one after another.
    Pieces(Vec<Piece>),
}

/// Rows of one tensor of the checkpoint.
#[derive(Debug)]
pub(crate) struct Piece {
    /// What the family calls it.
    pub name: String,
    pub shape: Vec<usize>,
    pub rows: Rows,
}

/// Which rows.
#[derive(Debug)]
pub(crate) enum Rows {
    /// As they stand.
    Range(Range<usize>),
    /// In another order, each multiplied.
    Order(Vec<(u32, f32)>),
}

/// All tensors of `spec` as `architecture` calls and wants them.
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
        let piece = Piece { name: entry.name, shape: entry.shape, rows };
        Tensor { name: name.into(), shape, content: Content::Pieces(vec![piece]) }
    };
    let mut tensors: Vec<Tensor> = factors.collect();
    tensors.push(outer(spec.embedding_entry(), "token_embd.weight"));
    for block in 0..spec.layers {
        let entries = spec.block_entries(block);
        for (name, parts) in architecture.parts {
            for (kind, suffix) in [(Kind::Weight, "weight"), (Kind::Bias, "bias")] {
                let piece = |part: &Part| {
                    let (entry, within) = find(spec, block, &entries, *part, kind)?;
                    let rows = rows(spec, architecture, rope, *part, within);
                    let (name, shape) = (entry.name.clone(), entry.shape.clone());
                    Some(Piece { name, shape, rows })
                };
                let pieces: Vec<Piece> = parts.iter().filter_map(piece).collect();
                if !pieces.is_empty() {
                    let mut shape = pieces[0].shape.clone();
                    shape[0] = pieces.iter().map(|piece| piece.rows.len()).sum();
                    let name = format!("blk.{block}.{name}.{suffix}");
                    tensors.push(Tensor { name, shape, content: Content::Pieces(pieces) });
                }
            }
        }
    }
    tensors.extend(spec.norm_entries().into_iter().map(|entry| outer(entry, "output_norm.weight")));
    tensors.extend(spec.head_entries().into_iter().map(|entry| outer(entry, "output.weight")));
    tensors
}

/// The tensor that holds a part, and which of its rows that is.
fn find<'a>(
    spec: &DecoderSpec,
    block: usize,
    entries: &'a [Entry],
    part: Part,
    kind: Kind,
) -> Option<(&'a Entry, Range<usize>)> {
    entries.iter().find_map(|entry| {
        let at = entry.parts.iter().position(|other| *other == (part, kind))?;
        let outputs = |(part, _): &(Part, Kind)| match is_linear(*part) {
            true => spec.linear(block, *part).0[1],
            false => entry.shape[0],
        };
        let start = entry.parts[..at].iter().map(outputs).sum();
        Some((entry, start..start + outputs(&entry.parts[at])))
    })
}

/// The rows `within` of a part, as the architecture wants them.
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
    // The two dimensions of a pair, half of the rotated part apart, come to stand side by side.
    let (head_dim, half) = (spec.attention.head_dim, rope.rotated / 2);
    let head = |start: usize| {
        let pairs = (0..half).flat_map(|i| [i, i + half]).map(|i| (i, 1.0));
        let still = (2 * half..head_dim).map(|i| (i, 1.0 / rope.still_scale));
        pairs.chain(still).map(move |(i, scale)| ((start + i) as u32, scale))
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
