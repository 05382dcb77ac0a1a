//! Causal attention, with and without grouped heads, and with keys before the queries.

use burn::tensor::activation::softmax;
use burn::tensor::{Bool, Device, Tensor};
use slicegpt_kernels::causal_attention;

use crate::check::{assert_central, assert_near, backward, plain, values};

/// The same by Burn's operations.
fn generic(query: Tensor<4>, key: Tensor<4>, value: Tensor<4>) -> Tensor<4> {
    let [batch, heads, queries, head_dim] = query.dims();
    let [_, kv_heads, seen, _] = key.dims();
    let each = |x: Tensor<4>| {
        x.unsqueeze_dim::<5>(2)
            .expand([batch, kv_heads, heads / kv_heads, seen, head_dim])
            .reshape([batch, heads, seen, head_dim])
    };
    let scores = query.matmul(each(key).swap_dims(2, 3)) / (head_dim as f64).sqrt();
    let later =
        Tensor::<2, Bool>::tril_mask([queries, seen], (seen - queries) as i64, &Device::flex());
    let later = later.autodiff().unsqueeze::<4>().expand([batch, heads, queries, seen]);
    let scores = scores.mask_fill(later, f32::NEG_INFINITY);
    softmax(scores, 3).matmul(each(value)).swap_dims(1, 2)
}

/// In memory, tokens come before heads, as in the output of a projection.
fn inputs(
    [batch, heads, kv_heads, queries, seen, head_dim]: [usize; 6],
    tracked: [bool; 3],
) -> [Tensor<4>; 3] {
    let shapes = [[heads, queries], [kv_heads, seen], [kv_heads, seen]];
    std::array::from_fn(|index| {
        let [heads, tokens] = shapes[index];
        let x = plain([batch, tokens, heads, head_dim], index as u64 + 1).swap_dims(1, 2) * 2.0;
        if tracked[index] { x.autodiff().require_grad() } else { x }
    })
}

#[test]
fn they_are_those_of_burn() {
    let all = [true; 3];
    for shape in [
        [1, 1, 1, 1, 1, 4],
        [1, 2, 1, 1, 9, 4],
        [2, 6, 2, 5, 12, 8],
        [1, 4, 4, 70, 70, 8],
        [2, 8, 1, 65, 100, 12],
    ] {
        for tracked in [all, [true, false, false], [false, true, false], [false, false, true]] {
            let run = |of: fn(Tensor<4>, Tensor<4>, Tensor<4>) -> Tensor<4>| {
                let [query, key, value] = inputs(shape, tracked);
                let grads = backward(&of(query.clone(), key.clone(), value.clone()));
                [query, key, value].map(|x| x.is_autodiff().then(|| x.grad(&grads).unwrap()))
            };
            let pairs = run(causal_attention).into_iter().zip(run(generic));
            for (index, (found, exact)) in pairs.enumerate() {
                assert_near(&format!("{shape:?}, {index}"), found, exact);
            }
        }
    }
}

#[test]
fn they_are_the_central_differences() {
    for shape in [[1, 4, 2, 3, 5, 4], [2, 2, 2, 4, 4, 3]] {
        let [batch, heads, kv_heads, queries, seen, head_dim] = shape;
        let [query, key, value] = inputs(shape, [true; 3]);
        let grads = backward(&causal_attention(query.clone(), key.clone(), value.clone()));
        let formula = |of: &[Vec<f64>]| -> Vec<f64> {
            let [query, key, value] = of else { unreachable!() };
            let mut out = Vec::new();
            for (row, position, head) in (0..batch * queries * heads)
                .map(|i| (i / heads / queries, i / heads % queries, i % heads))
            {
                let query = &query[((row * heads + head) * queries + position) * head_dim..];
                let at = |token: usize| {
                    ((row * kv_heads + head * kv_heads / heads) * seen + token) * head_dim
                };
                let visible = 0..seen - queries + position + 1;
                let score = |token: usize| -> f64 {
                    let products = (0..head_dim).map(|i| query[i] * key[at(token) + i]);
                    (products.sum::<f64>() / (head_dim as f64).sqrt()).exp()
                };
                let weights: Vec<f64> = visible.clone().map(score).collect();
                let total: f64 = weights.iter().sum();
                out.extend((0..head_dim).map(|i| {
                    let mixed = visible.clone().map(|token| weights[token] * value[at(token) + i]);
                    mixed.sum::<f64>() / total
                }));
            }
            out
        };
        let all = [&query, &key, &value].map(values);
        for (index, x) in [&query, &key, &value].into_iter().enumerate() {
            assert_central(&format!("{shape:?}"), &x.grad(&grads).unwrap(), &all, index, formula);
        }
    }
}
