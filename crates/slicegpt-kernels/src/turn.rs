//! The rotation of rotary positions and its transpose, in place.

use rayon::prelude::*;

use crate::elementwise::SHARE;
use crate::view::View;

/// The cosines and signed sines of all positions, `[tokens, dim]` each.
pub(crate) struct Tables {
    pub cos: View,
    pub sin: View,
}

/// Rotates the first `dim` dimensions of each head, `(a, b) -> (a cos + b sin, b cos' + a sin')`,
/// or applies the transpose of that, which is the rotation by the negative angle.
///
/// # Shapes
/// - `x`: `[batch, tokens, heads, head_dim]`
pub(crate) fn turn(x: &mut [f32], shape: [usize; 4], tables: &Tables, transposed: bool) {
    let [_, tokens, heads, head_dim] = shape;
    let dim = tables.cos.width();
    let (cos, sin) = (tables.cos.values(), tables.sin.values());
    let half = dim / 2;
    let width = heads * head_dim;
    let shares = x.par_chunks_mut(width).with_min_len((SHARE / width).max(1));
    shares.enumerate().for_each(|(token, heads)| {
        let table = token % tokens * dim..(token % tokens + 1) * dim;
        let (cos, sin) = (&cos[table.clone()], &sin[table]);
        let ((cos, cos2), (sin, sin2)) = (cos.split_at(half), sin.split_at(half));
        let (sin, sin2) = if transposed { (sin2, sin) } else { (sin, sin2) };
        for head in heads.chunks_exact_mut(head_dim) {
            let (first, rest) = head.split_at_mut(half);
            for i in 0..half {
                let (a, b) = (first[i], rest[i]);
                first[i] = a * cos[i] + b * sin[i];
                rest[i] = b * cos2[i] + a * sin2[i];
            }
        }
    });
}
