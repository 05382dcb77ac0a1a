//! Rotary positions, of whole heads and of a part of each.

use burn::tensor::{Device, Tensor, TensorData};
use slicegpt_kernels::rotate;

use crate::check::{assert_central, assert_near, backward, plain, values};

/// Cosines and signed sines, `[tokens, dim]`.
fn tables(tokens: usize, dim: usize) -> [Tensor<2>; 2] {
    let angle = |at: usize| (at / dim + 3) as f64 * 0.4f64.powi((at % dim % (dim / 2)) as i32);
    let sign = |at: usize| if at % dim < dim / 2 { -1.0 } else { 1.0 };
    let cos = (0..tokens * dim).map(|at| angle(at).cos() as f32).collect::<Vec<_>>();
    let sin = (0..tokens * dim).map(|at| (sign(at) * angle(at).sin()) as f32).collect::<Vec<_>>();
    [cos, sin].map(|x| Tensor::from_data(TensorData::new(x, [tokens, dim]), &Device::flex()))
}

/// The same by Burn's operations.
fn turned(x: Tensor<4>, tables: &[Tensor<2>; 2]) -> Tensor<4> {
    let [_, tokens, _, head_dim] = x.dims();
    let [_, dim] = tables[0].dims();
    let [cos, sin] = tables.clone().map(|table| table.reshape([1, tokens, 1, dim]).autodiff());
    let part = |from: usize, to: usize| x.clone().narrow(3, from, to - from);
    let swapped = Tensor::cat(vec![part(dim / 2, dim), part(0, dim / 2)], 3);
    let rotated = part(0, dim) * cos + swapped * sin;
    match dim < head_dim {
        true => Tensor::cat(vec![rotated, part(dim, head_dim)], 3),
        false => rotated,
    }
}

#[test]
fn they_are_those_of_burn_and_the_central_differences() {
    for (shape, dim) in [([2, 5, 3, 8], 8), ([1, 1, 1, 4], 2), ([2, 7, 2, 6], 4)] {
        let tables = tables(shape[1], dim);
        let run = |of: fn(Tensor<4>, &[Tensor<2>; 2]) -> Tensor<4>| {
            let x = plain(shape, 1).autodiff().require_grad();
            x.grad(&backward(&of(x.clone(), &tables)))
        };
        let found = run(rotate);
        assert_near(&format!("{shape:?}"), found.clone(), run(turned));
        let [cos, sin] = [&tables[0], &tables[1]].map(values);
        let formula = |of: &[Vec<f64>]| -> Vec<f64> {
            let at = |index: usize| {
                let (token, i) = (index / shape[3] / shape[2] % shape[1], index % shape[3]);
                let other = index - i + (i + dim / 2) % dim;
                let [cos, sin] = [&cos, &sin].map(|table| f64::from(table[token * dim + i % dim]));
                if i < dim { of[0][index] * cos + of[0][other] * sin } else { of[0][index] }
            };
            (0..of[0].len()).map(at).collect()
        };
        let all = [values(&plain(shape, 1))];
        assert_central(&format!("{shape:?}"), &found.unwrap(), &all, 0, formula);
    }
}
