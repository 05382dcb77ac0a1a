//! The weights of causal attention: scores and softmax of a few queries at a time.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

use crate::elementwise::Softmax;
use crate::isa::run;
use crate::view::Heads;

/// Rows of scores computed at a time: the queries of all heads that share a key head.
pub(crate) const ROWS: usize = 64;

/// The least number of queries in a piece, if there are as many.
pub(crate) const LEAST: usize = 16;

/// Queries, keys and values, and their shapes.
pub(crate) struct Inputs {
    pub query: Heads,
    pub key: Heads,
    pub value: Heads,
    /// Query heads that share a key head.
    pub group: usize,
    pub queries: usize,
    pub seen: usize,
    pub head_dim: usize,
}

/// One key head, with some queries of every query head that shares it.
pub(crate) struct Piece {
    pub row: usize,
    pub kv_head: usize,
    /// The first query.
    pub start: usize,
    /// The number of queries of each head.
    pub count: usize,
}

/// The queries of a piece, and the weights that they give to the keys.
#[derive(Default)]
pub(crate) struct Weights {
    /// `[group * count, head_dim]`.
    pub query: Vec<f32>,
    /// `[group * count, visible]`, each row at the start of a [`stride`]; zero for keys after the
    /// query.
    pub weights: Vec<f32>,
}

/// The numbers from one row of scores to the next: an odd number of cache lines, so that the scores
/// of a key do not all fall into the same set of the cache.
pub(crate) fn stride(visible: usize) -> usize {
    const LINE: usize = 16;
    (visible.div_ceil(LINE) | 1) * LINE
}

/// Scores as a matrix, `[rows, visible]`.
pub(crate) fn scores(x: &[f32], visible: usize) -> MatRef<'_, f32> {
    let stride = stride(visible);
    MatRef::from_row_major_slice_with_stride(x, x.len() / stride, visible, stride)
}

/// [`scores`], to be written.
pub(crate) fn scores_mut(x: &mut [f32], visible: usize) -> MatMut<'_, f32> {
    let stride = stride(visible);
    let rows = x.len() / stride;
    // faer 0.24.4 exchanges the strides in the function of this name for rows.
    MatMut::from_column_major_slice_with_stride_mut(x, visible, rows, stride).transpose_mut()
}

impl Inputs {
    /// The number of keys that a piece sees.
    pub fn visible(&self, piece: &Piece) -> usize {
        self.seen - self.queries + piece.start + piece.count
    }

    /// The factor of the scores, `1 / sqrt(head_dim)`.
    pub fn scale(&self) -> f32 {
        (self.head_dim as f32).sqrt().recip()
    }

    /// Computes the weights of a piece over `key`, the keys that it sees, `[visible, head_dim]`.
    pub fn weigh(&self, piece: &Piece, key: MatRef<'_, f32>, out: &mut Weights) {
        let Piece { row, kv_head, start, count } = *piece;
        let Self { group, head_dim, .. } = *self;
        let visible = self.visible(piece);
        out.query.clear();
        for head in kv_head * group..(kv_head + 1) * group {
            for position in start..start + count {
                out.query.extend_from_slice(self.query.token(row, head, position));
            }
        }
        let rows = group * count;
        let query = MatRef::from_row_major_slice(&out.query, rows, head_dim);
        let stride = stride(visible);
        out.weights.resize(rows * stride, 0.0);
        let found = scores_mut(&mut out.weights, visible);
        matmul(found, Accum::Replace, query, key.transpose(), 1.0, Par::Seq);
        let scale = self.scale();
        for (index, row) in out.weights.chunks_exact_mut(stride).enumerate() {
            let (row, later) = row[..visible].split_at_mut(visible - count + index % count + 1);
            run(Softmax { row, scale });
            later.fill(0.0);
        }
    }
}
