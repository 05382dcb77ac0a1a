//! The gradients of causal attention, `O = P V` with `P = softmax(c Q K^T)` for each head, where
//! `c` is `1 / sqrt(head_dim)`:
//!
//! ```text
//! dV = P^T dO,  dP = dO V^T,  dS = P * (dP - rowsum(P * dP)),  dQ = c dS K,  dK = c dS^T Q
//! ```
//!
//! As in FlashAttention (Dao et al., arXiv 2205.14135, section 3.1), the weights `P` are not kept
//! but computed again, for a few queries at a time, and stay in the CPU's cache. Heads that share a
//! key head add to the same `dK` and `dV`.

use burn::backend::flex::FlexTensor;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

use super::record::{Operation, host};
use crate::isa::{Instructions, Kernel, run};
use crate::sums::sum_of_products;
use crate::view::View;
use crate::weights::{Inputs, LEAST, Piece, ROWS, Weights, scores, scores_mut, stride};

/// What the backward pass of attention needs.
pub(crate) struct Attention {
    pub inputs: Inputs,
    pub batch: usize,
    pub kv_heads: usize,
}

/// The order of the inputs: query, key, value.
impl Operation<3> for Attention {
    fn backward(&self, output: View, needed: [bool; 3]) -> [Option<FlexTensor>; 3] {
        let Inputs { group, queries, seen, head_dim, .. } = self.inputs;
        let of_queries = group * queries * head_dim;
        let of_keys = seen * head_dim;
        let count = self.batch * self.kv_heads;
        let mut dquery = vec![0.0; count * of_queries];
        let [mut dkey, mut dvalue] = [(); 2].map(|()| vec![0.0; count * of_keys]);
        let keys = dkey.par_chunks_mut(of_keys).zip(dvalue.par_chunks_mut(of_keys));
        let heads = dquery.par_chunks_mut(of_queries).zip(keys).enumerate();
        heads.for_each_init(Scratch::default, |scratch, (index, (dquery, (dkey, dvalue)))| {
            let (row, kv_head) = (index / self.kv_heads, index % self.kv_heads);
            let place = [row, kv_head, seen];
            let (mut buffer, mut buffer2) = (Vec::new(), Vec::new());
            let key = self.inputs.key.packed(place, queries * group, &mut buffer);
            let value = self.inputs.value.packed(place, queries * group, &mut buffer2);
            let step = (ROWS / group).max(LEAST).min(queries);
            for start in (0..queries).step_by(step) {
                let piece = Piece { row, kv_head, start, count: step.min(queries - start) };
                let visible = self.inputs.visible(&piece);
                let [key, value] = [key, value].map(|x| x.subrows(0, visible));
                let dout = output.values();
                let out = [&mut *dquery, &mut *dkey, &mut *dvalue];
                self.add_piece(scratch, &piece, [key, value], dout, out, needed);
            }
        });
        let [of_query, of_key, of_value] = needed;
        let [batch, kv_heads] = [self.batch, self.kv_heads];
        let back = |x: Vec<f32>, heads: usize, tokens: usize| {
            token_major(&x, [batch, heads, tokens, head_dim])
        };
        [
            of_query.then(|| back(dquery, kv_heads * group, queries)),
            of_key.then(|| back(dkey, kv_heads, seen)),
            of_value.then(|| back(dvalue, kv_heads, seen)),
        ]
    }
}

/// The scratch buffers of a thread.
#[derive(Default)]
struct Scratch {
    weights: Weights,
    /// The gradient of the outputs, `[group * count, head_dim]`, then that of the queries.
    out: Vec<f32>,
    /// The gradient of the weights, `[group * count, visible]`, then that of the scores, as in
    /// [`Weights`].
    scores: Vec<f32>,
}

impl Attention {
    /// Adds the gradients of a piece to those of its heads. `key` and `value` are those that it
    /// sees; `dquery` is `[group, queries, head_dim]`, the others are `[seen, head_dim]`.
    fn add_piece(
        &self,
        scratch: &mut Scratch,
        piece: &Piece,
        [key, value]: [MatRef<'_, f32>; 2],
        dout: &[f32],
        [dquery, dkey, dvalue]: [&mut [f32]; 3],
        [of_query, of_key, of_value]: [bool; 3],
    ) {
        let Inputs { group, queries, head_dim, .. } = self.inputs;
        let Piece { row, kv_head, start, count } = *piece;
        let Scratch { weights, out, scores: dscores } = scratch;
        let visible = self.inputs.visible(piece);
        let (rows, heads) = (group * count, group * self.kv_heads);
        self.inputs.weigh(piece, key, weights);
        out.clear();
        for head in kv_head * group..(kv_head + 1) * group {
            for position in start..start + count {
                let at = ((row * queries + position) * heads + head) * head_dim;
                out.extend_from_slice(&dout[at..at + head_dim]);
            }
        }
        let of_tokens = |x| MatMut::from_row_major_slice_mut(x, visible, head_dim);
        let dout = matrix(out, rows, head_dim);
        let mixing = scores(&weights.weights, visible);
        if of_value {
            let dvalue = of_tokens(&mut dvalue[..visible * head_dim]);
            matmul(dvalue, Accum::Add, mixing.transpose(), dout, 1.0, Par::Seq);
        }
        if !of_query && !of_key {
            return;
        }
        let stride = stride(visible);
        dscores.resize(rows * stride, 0.0);
        let dweights = scores_mut(dscores, visible);
        matmul(dweights, Accum::Replace, dout, value.transpose(), 1.0, Par::Seq);
        let scale = self.inputs.scale();
        let of_rows = weights.weights.chunks_exact(stride).zip(dscores.chunks_exact_mut(stride));
        of_rows.for_each(|(weights, row)| {
            run(SoftmaxGradient { weights: &weights[..visible], row: &mut row[..visible], scale });
        });
        let dscores = scores(dscores, visible);
        if of_key {
            let query = matrix(&weights.query, rows, head_dim);
            let dkey = of_tokens(&mut dkey[..visible * head_dim]);
            matmul(dkey, Accum::Add, dscores.transpose(), query, 1.0, Par::Seq);
        }
        let found = MatMut::from_row_major_slice_mut(out.as_mut_slice(), rows, head_dim);
        matmul(found, Accum::Replace, dscores, key, 1.0, Par::Seq);
        for (head, found) in out.chunks_exact(count * head_dim).enumerate() {
            let at = (head * queries + start) * head_dim;
            dquery[at..at + found.len()].copy_from_slice(found);
        }
    }
}

/// Row-major numbers as a matrix.
fn matrix(x: &[f32], rows: usize, columns: usize) -> MatRef<'_, f32> {
    MatRef::from_row_major_slice(x, rows, columns)
}

/// The gradient of the scores of a query from that of its weights, in place.
struct SoftmaxGradient<'a> {
    weights: &'a [f32],
    row: &'a mut [f32],
    scale: f32,
}

impl Kernel for SoftmaxGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Instructions>(self, _: I) {
        let Self { weights, row, scale } = self;
        let mean = sum_of_products(weights, 0.0, row);
        for (x, weight) in row.iter_mut().zip(weights) {
            *x = weight * (*x - mean) * scale;
        }
    }
}

/// `[batch, heads, tokens, head_dim]` with tokens before heads in memory, as in the output of a
/// projection.
fn token_major(x: &[f32], [batch, heads, tokens, head_dim]: [usize; 4]) -> FlexTensor {
    let mut out = vec![0.0; x.len()];
    out.par_chunks_mut(heads * head_dim).enumerate().for_each(|(index, out)| {
        let (row, token) = (index / tokens, index % tokens);
        for (head, out) in out.chunks_exact_mut(head_dim).enumerate() {
            let at = ((row * heads + head) * tokens + token) * head_dim;
            out.copy_from_slice(&x[at..at + head_dim]);
        }
    });
    host(out, [batch, tokens, heads, head_dim]).transpose(1, 2)
}
