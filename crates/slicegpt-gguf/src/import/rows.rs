//! [`Stored`]: where the rows of the tensors of a checkpoint are in a file.
//!
//! This is the inverse of what a file is written from: the rows that a tensor of the file is made
//! of say where each row of the checkpoint is.

use std::collections::BTreeMap;
use std::ops::Range;

use slicegpt_models::DecoderSpec;

use crate::architecture::Architecture;
use crate::rope::RopeForm;
use crate::tensors::{Content, Rows, Selection, tensors};

/// A tensor of the checkpoint.
#[derive(Debug)]
pub(super) struct Stored {
    pub shape: Vec<usize>,
    /// In the order of their rows, without gaps.
    pub segments: Vec<Segment>,
}

/// Some rows of it.
#[derive(Debug)]
pub(super) struct Segment {
    /// The tensor of the file that has them.
    pub name: String,
    /// The rows of the checkpoint's tensor.
    pub rows: Range<usize>,
    pub from: From,
}

/// The rows of the file's tensor.
#[derive(Debug)]
pub(super) enum From {
    /// From this one on, in order.
    Row(usize),
    /// One for each row.
    Order(Vec<u32>),
}

/// A tensor that the file must have.
pub(super) struct Expected {
    pub name: String,
    pub shape: Vec<usize>,
}

/// All tensors of the checkpoint that `spec` describes, by name, and the tensors of the file that
/// they are in.
pub(super) fn stored(
    spec: &DecoderSpec,
    architecture: &Architecture,
    rotated: usize,
) -> (BTreeMap<String, Stored>, Vec<Expected>) {
    let rope = RopeForm {
        metadata: Vec::new(),
        factors: Vec::new(),
        rotated,
        unrotated_scale: 1.0,
        note: None,
    };
    let (mut all, mut expected) = (BTreeMap::new(), Vec::new());
    for tensor in tensors(spec, architecture, &rope) {
        expected.push(Expected { name: tensor.name.clone(), shape: tensor.shape });
        let Content::Selections(selections) = tensor.content else { continue };
        let mut offset = 0;
        for Selection { name, shape, rows } in selections {
            let taken = rows.len();
            let stored = all.entry(name).or_insert(Stored { shape, segments: Vec::new() });
            stored.segments.push(segment(tensor.name.clone(), rows, offset));
            offset += taken;
        }
    }
    for stored in all.values_mut() {
        stored.segments.sort_by_key(|segment| segment.rows.start);
    }
    (all, expected)
}

/// The segment whose rows became the rows from `offset` on of tensor `name`.
fn segment(name: String, rows: Rows, offset: usize) -> Segment {
    match rows {
        Rows::Range(rows) => Segment { name, rows, from: From::Row(offset) },
        Rows::Order(order) => {
            let start = order.iter().map(|(row, _)| *row as usize).min().unwrap_or(0);
            let mut inverse = vec![0; order.len()];
            for (place, (row, _)) in order.iter().enumerate() {
                inverse[*row as usize - start] = (offset + place) as u32;
            }
            Segment { name, rows: start..start + order.len(), from: From::Order(inverse) }
        }
    }
}

impl Stored {
    /// The values of a row.
    pub fn columns(&self) -> usize {
        self.shape[1..].iter().product()
    }

    /// The rows `rows` as rows of tensors of the file, in runs that follow each other there too.
    pub fn runs(&self, rows: Range<usize>) -> Vec<(&str, Range<usize>)> {
        let mut runs: Vec<(&str, Range<usize>)> = Vec::new();
        let inside = self
            .segments
            .iter()
            .filter(|segment| segment.rows.start < rows.end && rows.start < segment.rows.end);
        for segment in inside {
            let own = segment.rows.start.max(rows.start)..segment.rows.end.min(rows.end);
            let within = own.start - segment.rows.start..own.end - segment.rows.start;
            match &segment.from {
                From::Row(first) => {
                    runs.push((&segment.name, first + within.start..first + within.end));
                }
                From::Order(order) => {
                    for row in &order[within] {
                        let row = *row as usize;
                        match runs.last_mut() {
                            Some((name, run)) if *name == segment.name && run.end == row => {
                                run.end += 1;
                            }
                            _ => runs.push((&segment.name, row..row + 1)),
                        }
                    }
                }
            }
        }
        runs
    }
}
