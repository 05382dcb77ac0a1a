//! Rotary positions, in place.

use burn::tensor::Tensor;

use crate::gradients::record::{part, record};
use crate::gradients::rotary::Rotation;
use crate::turn::{Tables, turn};
use crate::view::{View, in_place};

/// Rotates the first dimensions of each head: number `i` of the first half of them is paired with
/// number `i` of the second half, `(a, b) -> (a cos + b sin, b cos' + a sin')`.
///
/// # Shapes
/// - `x`: `[batch, tokens, heads, head_dim]`
/// - `tables`: `[tokens, dim]` each, cosine and signed sine; `dim <= head_dim` is even
///
/// # Panics
///
/// If `x` has no [kernels](crate::has_kernels), or the tables are not on its device.
pub fn rotate(x: Tensor<4>, tables: &[Tensor<2>; 2]) -> Tensor<4> {
    let shape = x.dims();
    let [cos, sin] = tables.clone().map(|table| View::of(table.without_autodiff()));
    let tables = Tables { cos, sin };
    let (x, of_x) = part(x);
    let y = in_place(x, |values| turn(values, shape, &tables, false));
    let operation = of_x.is_tracked().then_some(Rotation { tables, shape });
    record([of_x], y, operation)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution, TensorData};

    use super::*;

    #[test]
    fn pairs_turn_by_their_angle_and_the_rest_stays() {
        let device = Device::flex();
        let shape @ [batch, tokens, heads, head_dim] = [2, 5, 3, 10];
        let angle = |position: usize, i: usize| (position + 4) as f64 * 0.3f64.powi(i as i32);
        for dim in [2, 6, 10] {
            let half = dim / 2;
            let table = |of: &dyn Fn(usize, usize) -> f64| {
                let at = (0..tokens).flat_map(|t| (0..dim).map(move |i| (t, i)));
                let values: Vec<f32> = at.map(|(t, i)| of(t, i) as f32).collect();
                Tensor::<2>::from_data(TensorData::new(values, [tokens, dim]), &device)
            };
            let tables = [
                table(&|t, i| angle(t, i % half).cos()),
                table(&|t, i| angle(t, i % half).sin() * if i < half { -1.0 } else { 1.0 }),
            ];
            let x = Tensor::<4>::random(shape, Distribution::Normal(0.0, 1.0), &device);
            let before: Vec<f32> = x.clone().into_data().try_into_vec().unwrap();
            let after: Vec<f32> = rotate(x, &tables).into_data().try_into_vec().unwrap();
            for index in 0..batch * tokens * heads {
                let position = index / heads % tokens;
                let of_head = index * head_dim..(index + 1) * head_dim;
                let (before, after) = (&before[of_head.clone()], &after[of_head]);
                for i in 0..half {
                    let (sin, cos) = angle(position, i).sin_cos();
                    let (a, b) = (f64::from(before[i]), f64::from(before[i + half]));
                    let turned = [a * cos - b * sin, b * cos + a * sin];
                    for (found, exact) in [after[i], after[i + half]].into_iter().zip(turned) {
                        assert!((f64::from(found) - exact).abs() < 1e-6, "{found}, {exact}");
                    }
                }
                assert_eq!(before[dim..], after[dim..]);
            }
        }
    }
}
