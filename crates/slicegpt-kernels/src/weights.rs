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
    /// `[group * count, visible]`; zero for keys after the query.
    pub weights: Vec<f32>,
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

    /// Computes the weights of a piece.
    pub fn weigh(&self, piece: &Piece, out: &mut Weights) {
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
        let key = self.key.tokens(row, kv_head, visible);
        let query = MatRef::from_row_major_slice(&out.query, rows, head_dim);
        out.weights.resize(rows * visible, 0.0);
        let scores = MatMut::from_row_major_slice_mut(&mut out.weights, rows, visible);
        matmul(scores, Accum::Replace, query, key.transpose(), 1.0, Par::Seq);
        let scale = self.scale();
        for (index, row) in out.weights.chunks_exact_mut(visible).enumerate() {
            let (row, later) = row.split_at_mut(visible - count + index % count + 1);
            run(Softmax { row, scale });
            later.fill(0.0);
        }
    }
}
