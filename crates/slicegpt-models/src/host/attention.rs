//! Causal attention: scores, softmax and mixing of a few queries at a time, in memory that stays in the cache.

use burn::tensor::{Tensor, TensorData};
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

use super::simd::Simd;
use super::view::Heads;

/// Rows of scores at a time: queries of all heads that share keys.
const ROWS: usize = 64;

/// Queries at a time, at least, if there are as many.
const LEAST: usize = 16;

/// Causal attention of float32 tensors on the processor.
///
/// # Shapes
/// - `query`: `[batch, heads, queries, head_dim]`, the last of the `seen` tokens
/// - `key`, `value`: `[batch, kv_heads, seen, head_dim]`
/// - output: `[batch, queries, heads, head_dim]`
pub fn causal_attention(query: Tensor<4>, key: Tensor<4>, value: Tensor<4>) -> Tensor<4> {
    let [batch, heads, queries, head_dim] = query.dims();
    let [_, kv_heads, seen, _] = key.dims();
    let device = query.device();
    let [query, key, value] = [query, key, value].map(Heads::of);
    let shared = heads / kv_heads;
    // Later queries see more: pieces enough for cores to end together.
    let pieces = 4 * rayon::current_num_threads();
    let at_a_time = (ROWS / shared).min(queries.div_ceil(pieces)).max(LEAST).min(queries);
    let mut mixed = vec![0.0; batch * queries * heads * head_dim];
    let width = heads * head_dim;

    /// One key head, some queries of every query head that shares it.
    struct Piece {
        row: usize,
        kv_head: usize,
        start: usize,
    }
    let attend = |room: &mut Room, piece: Piece, out: &mut [f32], stride: usize| {
        let Piece { row, kv_head, start } = piece;
        let count = out.len().div_ceil(stride);
        let visible = seen - queries + start + count;
        room.query.clear();
        for head in kv_head * shared..(kv_head + 1) * shared {
            for position in start..start + count {
                room.query.extend_from_slice(query.token(row, head, position));
            }
        }
        let rows = shared * count;
        let [key, value] = [&key, &value].map(|x| x.tokens(row, kv_head, visible));
        let query = MatRef::from_row_major_slice(&room.query, rows, head_dim);
        room.scores.resize(rows * visible, 0.0);
        let scores = MatMut::from_row_major_slice_mut(&mut room.scores, rows, visible);
        matmul(scores, Accum::Replace, query, key.transpose(), 1.0, Par::Seq);
        let simd = Simd::here();
        let scale = (head_dim as f32).sqrt().recip();
        for (index, row) in room.scores.chunks_exact_mut(visible).enumerate() {
            let (sees, later) = row.split_at_mut(visible - count + index % count + 1);
            (simd.softmax)(sees, scale);
            later.fill(0.0);
        }
        room.mixed.resize(rows * head_dim, 0.0);
        let mixed = MatMut::from_row_major_slice_mut(&mut room.mixed, rows, head_dim);
        let scores = MatRef::from_row_major_slice(&room.scores, rows, visible);
        matmul(mixed, Accum::Replace, scores, value, 1.0, Par::Seq);
        for (index, mixed) in room.mixed.chunks_exact(head_dim).enumerate() {
            let (head, position) = (index / count, index % count);
            let at = position * stride + head * head_dim;
            out[at..at + head_dim].copy_from_slice(mixed);
        }
    };
    if queries == 1 {
        // A core for each head.
        let size = shared * head_dim;
        mixed.par_chunks_mut(size).enumerate().for_each_init(
            Room::default,
            |room, (index, out)| {
                let piece = Piece { row: index / kv_heads, kv_head: index % kv_heads, start: 0 };
                attend(room, piece, out, size);
            },
        );
    } else {
        // A core for some queries.
        mixed.par_chunks_mut(queries * width).enumerate().for_each(|(row, mixed)| {
            let pieces = mixed.par_chunks_mut(at_a_time * width).enumerate();
            pieces.for_each_init(Room::default, |room, (index, mixed)| {
                for kv_head in 0..kv_heads {
                    let piece = Piece { row, kv_head, start: index * at_a_time };
                    let out = &mut mixed[kv_head * shared * head_dim..];
                    attend(room, piece, out, width);
                }
            });
        });
    }
    Tensor::from_data(TensorData::new(mixed, [batch, queries, heads, head_dim]), &device)
}

/// What a core works in.
#[derive(Default)]
struct Room {
    query: Vec<f32>,
    scores: Vec<f32>,
    mixed: Vec<f32>,
}

#[cfg(test)]
mod tests {
    use burn::tensor::module::attention;
    use burn::tensor::ops::AttentionModuleOptions;
    use burn::tensor::{Device, Distribution};

    use super::*;

    /// As a projection leaves it: tokens before heads.
    fn some(batch: usize, heads: usize, tokens: usize, head_dim: usize) -> Tensor<4> {
        let shape = [batch, tokens, heads, head_dim];
        Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Device::flex()).swap_dims(1, 2)
    }

    #[test]
    fn it_is_attention_of_each_query_head() {
        for (batch, heads, kv_heads) in [(1, 1, 1), (2, 6, 2), (1, 4, 4), (3, 8, 1)] {
            for (queries, seen) in [(1, 1), (1, 9), (3, 3), (5, 12), (64, 64), (65, 200)] {
                let query = some(batch, heads, queries, 12);
                // The first tokens of a cache that has room for more.
                let [key, value] =
                    [(); 2].map(|()| some(batch, kv_heads, seen + 7, 12).narrow(2, 0, seen));
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
    fn later_tokens_are_not_seen_and_damage_is() {
        let [query, key, value] = [(); 3].map(|()| some(1, 2, 70, 8));
        let before = causal_attention(query.clone(), key.clone(), value.clone());
        let bad = Tensor::full([1, 2, 1, 8], f32::NAN, &Device::flex());
        let key = Tensor::cat(vec![key.narrow(2, 0, 69), bad], 2);
        let after = causal_attention(query, key, value);
        let same = |x: &Tensor<4>| x.clone().narrow(1, 0, 69).into_data();
        assert_eq!(same(&before), same(&after));
        assert!(after.narrow(1, 69, 1).is_nan().all().into_scalar::<bool>());
    }
}
