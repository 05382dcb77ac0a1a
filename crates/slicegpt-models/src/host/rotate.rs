//! Rotary positions, in place.

use burn::tensor::Tensor;
use rayon::prelude::*;

use super::in_place;
use super::view::View;

/// Numbers that a core is given at a time.
const SHARE: usize = 1 << 14;

/// [`rotate`](crate::rope::rotate) of float32 numbers on the processor.
///
/// # Shapes
/// - `x`: `[batch, tokens, heads, head_dim]`
/// - `tables`: `[tokens, dim]` each, cosine and signed sine
pub fn rotate(x: Tensor<4>, tables: &[Tensor<2>; 2]) -> Tensor<4> {
    let [_, tokens, heads, head_dim] = x.dims();
    let [_, dim] = tables[0].dims();
    let [cos, sin] = tables.clone().map(View::of);
    let (cos, sin) = (cos.values(), sin.values());
    let half = dim / 2;
    let width = heads * head_dim;
    in_place(x, |values| {
        let shares = values.par_chunks_mut(width).with_min_len((SHARE / width).max(1));
        shares.enumerate().for_each(|(token, heads)| {
            let table = token % tokens * dim..(token % tokens + 1) * dim;
            let (cos, sin) = (&cos[table.clone()], &sin[table]);
            let ((cos, cos2), (sin, sin2)) = (cos.split_at(half), sin.split_at(half));
            for head in heads.chunks_exact_mut(head_dim) {
                let (first, rest) = head.split_at_mut(half);
                for i in 0..half {
                    let (a, b) = (first[i], rest[i]);
                    first[i] = a * cos[i] + b * sin[i];
                    rest[i] = b * cos2[i] + a * sin2[i];
                }
            }
        });
    })
}
