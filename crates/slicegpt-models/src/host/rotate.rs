//! Rotary positions, in place.

use burn::tensor::Tensor;
use rayon::prelude::*;

use super::view::View;
use super::{SHARE, in_place};

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

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution};

    use super::*;
    use crate::{Rope, Scaling};

    #[test]
    fn pairs_turn_by_their_angle_and_the_rest_stays() {
        let device = Device::flex();
        let shape @ [batch, tokens, heads, head_dim] = [2, 5, 3, 10];
        for dim in [2, 6, 10] {
            let rope = Rope { dim, theta: 100.0, scaling: Scaling::None };
            let tables = rope.tables(4, tokens, &device);
            let x = Tensor::<4>::random(shape, Distribution::Normal(0.0, 1.0), &device);
            let before: Vec<f32> = x.clone().into_data().try_into_vec().unwrap();
            let after: Vec<f32> = rotate(x, &tables).into_data().try_into_vec().unwrap();
            let (frequencies, _) = rope.frequencies(4 + tokens);
            for index in 0..batch * tokens * heads {
                let position = 4 + index / heads % tokens;
                let of_head = index * head_dim..(index + 1) * head_dim;
                let (before, after) = (&before[of_head.clone()], &after[of_head]);
                for (i, frequency) in frequencies.iter().enumerate() {
                    let (sin, cos) = (position as f64 * frequency).sin_cos();
                    let (a, b) = (f64::from(before[i]), f64::from(before[i + dim / 2]));
                    let turned = [a * cos - b * sin, b * cos + a * sin];
                    for (found, exact) in [after[i], after[i + dim / 2]].into_iter().zip(turned) {
                        assert!((f64::from(found) - exact).abs() < 1e-6, "{found}, {exact}");
                    }
                }
                assert_eq!(before[dim..], after[dim..]);
            }
        }
    }
}
