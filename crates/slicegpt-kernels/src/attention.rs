//! Causal attention: scores, softmax and mixing of a few queries at a time, in scratch buffers that
//! stay in the CPU's cache.

use burn::tensor::{Tensor, TensorData};
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, Par};
use rayon::prelude::*;

use crate::gradients::attention::Attention;
use crate::gradients::record::{Node, part, record};
use crate::view::Heads;
use crate::weights::{Inputs, LEAST, Piece, ROWS, Weights, scores};

/// Causal attention, with scale `1 / sqrt(head_dim)`.
///
/// # Shapes
/// - `query`: `[batch, heads, queries, head_dim]`, the last of the `seen` tokens
/// - `key`, `value`: `[batch, kv_heads, seen, head_dim]`
/// - output: `[batch, queries, heads, head_dim]`
///
/// # Panics
///
/// If one of them has no [kernels](crate::has_kernels).
pub fn causal_attention(query: Tensor<4>, key: Tensor<4>, value: Tensor<4>) -> Tensor<4> {
    let [batch, heads, queries, head_dim] = query.dims();
    let [_, kv_heads, seen, _] = key.dims();
    let group = heads / kv_heads;
    let [(query, of_query), (key, of_key), (value, of_value)] = [query, key, value].map(part);
    let nodes = [of_query, of_key, of_value];
    let device = query.device();
    let [query, key, value] = [query, key, value].map(Heads::of);
    let inputs = Inputs { query, key, value, group, queries, seen, head_dim };
    let mut mixed = vec![0.0; batch * queries * heads * head_dim];
    if queries == 1 {
        // Threads take one key head at a time.
        let size = group * head_dim;
        let heads = mixed.par_chunks_mut(size).enumerate();
        heads.for_each_init(Scratch::default, |scratch, (index, out)| {
            let (row, kv_head) = (index / kv_heads, index % kv_heads);
            let piece = Piece { row, kv_head, start: 0, count: 1 };
            inputs.attend(scratch, piece, out, size);
        });
    } else {
        // Threads take pieces of the queries. Later queries see more keys, so there are several
        // pieces per thread, and all threads end at about the same time.
        let pieces = 4 * rayon::current_num_threads();
        let step = (ROWS / group).min(queries.div_ceil(pieces)).max(LEAST).min(queries);
        let width = heads * head_dim;
        mixed.par_chunks_mut(queries * width).enumerate().for_each(|(row, mixed)| {
            let pieces = mixed.par_chunks_mut(step * width).enumerate();
            pieces.for_each_init(Scratch::default, |scratch, (index, mixed)| {
                let count = mixed.len() / width;
                for kv_head in 0..kv_heads {
                    let out = &mut mixed[kv_head * group * head_dim..];
                    let piece = Piece { row, kv_head, start: index * step, count };
                    inputs.attend(scratch, piece, out, width);
                }
            });
        });
    }
    let data = TensorData::new(mixed, [batch, queries, heads, head_dim]);
    let tracked = nodes.iter().any(Node::is_tracked);
    let operation = tracked.then_some(Attention { inputs, batch, kv_heads });
    record(nodes, Tensor::from_data(data, &device), operation)
}

/// The scratch buffers of a thread.
#[derive(Default)]
struct Scratch {
    weights: Weights,
    mixed: Vec<f32>,
    /// Keys, then values.
    packed: Vec<f32>,
}

impl Inputs {
    /// Computes the weighted values of a piece. The output of each query begins `stride` numbers
    /// after that of the query before it, with the heads of the piece first.
    fn attend(&self, scratch: &mut Scratch, piece: Piece, out: &mut [f32], stride: usize) {
        let Self { group, head_dim, .. } = *self;
        let rows = group * piece.count;
        let visible = self.visible(&piece);
        let Scratch { weights, mixed: sums, packed } = scratch;
        let place = [piece.row, piece.kv_head, visible];
        self.weigh(&piece, self.key.packed(place, rows, packed), weights);
        let value = self.value.packed(place, rows, packed);
        sums.resize(rows * head_dim, 0.0);
        let mixed = MatMut::from_row_major_slice_mut(sums.as_mut_slice(), rows, head_dim);
        matmul(mixed, Accum::Replace, scores(&weights.weights, visible), value, 1.0, Par::Seq);
        for (index, mixed) in sums.chunks_exact(head_dim).enumerate() {
            let (head, position) = (index / piece.count, index % piece.count);
            let at = position * stride + head * head_dim;
            out[at..at + head_dim].copy_from_slice(mixed);
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::module::attention;
    use burn::tensor::ops::AttentionModuleOptions;
    use burn::tensor::{Device, Distribution};

    use super::*;

    /// In memory, tokens come before heads, as in the output of a projection.
    fn random(batch: usize, heads: usize, tokens: usize, head_dim: usize) -> Tensor<4> {
        let shape = [batch, tokens, heads, head_dim];
        Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Device::flex()).swap_dims(1, 2)
    }

    #[test]
    fn it_is_the_attention_of_each_query_head() {
        for (batch, heads, kv_heads) in [(1, 1, 1), (2, 6, 2), (1, 4, 4), (3, 8, 1)] {
            for (queries, seen) in [(1, 1), (1, 9), (3, 3), (5, 12), (64, 64), (65, 200)] {
                let query = random(batch, heads, queries, 12);
                // The first tokens of a cache with spare capacity.
                let [key, value] =
                    [(); 2].map(|()| random(batch, kv_heads, seen + 7, 12).narrow(2, 0, seen));
                let found =
                    causal_attention(query.clone(), key.clone(), value.clone()).swap_dims(1, 2);
                let each = |x: Tensor<4>| {
                    x.unsqueeze_dim::<5>(2)
                        .expand([batch, kv_heads, heads / kv_heads, seen, 12])
                        .reshape([batch, heads, seen, 12])
                };
                let options = AttentionModuleOptions { is_causal: true, ..Default::default() };
                let exact = attention(query, each(key), each(value), None, None, options);
                let error = (found - exact).abs().max().into_scalar::<f32>();
                assert!(error < 2e-6, "{batch} x {heads}/{kv_heads}, {queries} of {seen}: {error}");
            }
        }
    }

    #[test]
    fn later_tokens_are_not_seen_and_nan_is_not_hidden() {
        let [query, key, value] = [(); 3].map(|()| random(1, 2, 70, 8));
        let before = causal_attention(query.clone(), key.clone(), value.clone());
        let bad = Tensor::full([1, 2, 1, 8], f32::NAN, &Device::flex());
        let key = Tensor::cat(vec![key.narrow(2, 0, 69), bad], 2);
        let after = causal_attention(query, key, value);
        let same = |x: &Tensor<4>| x.clone().narrow(1, 0, 69).into_data();
        assert_eq!(same(&before), same(&after));
        assert!(after.narrow(1, 69, 1).is_nan().all().into_scalar::<bool>());
    }
}
