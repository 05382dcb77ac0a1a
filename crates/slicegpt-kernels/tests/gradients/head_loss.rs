//! The loss of a head.

use burn::tensor::activation::log_softmax;
use burn::tensor::module::linear;
use burn::tensor::{DType, Int, Tensor, TensorData};
use slicegpt_kernels::{CrossEntropy, loss_of_rows};

use crate::check::{assert_near, plain};

/// Every third token has no label.
fn labels(tokens: usize, vocab_size: usize) -> Vec<Option<u32>> {
    (0..tokens).map(|i| (i % 3 != 2).then_some((i * 7 % vocab_size) as u32)).collect()
}

fn factors(tokens: usize) -> Vec<f32> {
    (0..tokens).map(|i| (i % 4) as f32 * 0.5).collect()
}

/// The same by Burn's operations.
fn generic(weight: &Tensor<2>, bias: Tensor<1>, x: Tensor<3>) -> Tensor<1> {
    let [batch, tokens, width] = x.dims();
    let vocab_size = weight.dims()[1];
    let logits = linear(x.reshape([batch * tokens, width]), weight.clone(), Some(bias));
    let labels = labels(batch * tokens, vocab_size);
    let factors = factors(batch * tokens).into_iter().zip(&labels);
    let factors: Vec<f32> =
        factors.map(|(factor, label)| if label.is_some() { factor } else { 0.0 }).collect();
    let ids: Vec<i64> = labels.iter().map(|label| label.unwrap_or(0).into()).collect();
    let column = [batch * tokens, 1];
    let device = logits.device();
    let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, column), &device);
    let factors = Tensor::<2>::from_data(TensorData::new(factors, column), &device);
    (log_softmax(logits, 1).gather(1, ids) * factors).sum().neg()
}

#[test]
fn the_value_and_the_gradients_are_those_of_burn() {
    // The last has more logits than are in memory at a time.
    for [batch, tokens, width, vocab_size] in [[1, 1, 3, 5], [2, 7, 8, 50], [1, 40, 2, 700_000]] {
        let run = |of: &dyn Fn(&Tensor<2>, Tensor<1>, Tensor<3>) -> Tensor<1>| {
            let x = plain([batch, tokens, width], 1).autodiff().require_grad();
            let weight = plain([vocab_size, width], 2).transpose().autodiff().require_grad();
            let bias = plain([vocab_size], 3).autodiff().require_grad();
            let loss = of(&weight, bias.clone(), x.clone());
            // A gradient from above that is not one.
            let grads = (loss.clone() * 0.5).backward();
            (loss.inner(), x.grad(&grads), weight.grad(&grads), bias.grad(&grads))
        };
        let (labels, factors) = (labels(batch * tokens, vocab_size), factors(batch * tokens));
        let rows = CrossEntropy { labels: &labels, factors: Some(&factors) };
        let found = run(&|weight, bias, x| {
            let (loss, sum) = loss_of_rows(weight, Some(bias), x, &rows);
            assert!((f64::from(loss.clone().into_scalar::<f32>()) - sum).abs() <= 1e-6 * sum.abs());
            loss
        });
        let exact = run(&generic);
        let what = format!("{batch} x {tokens} x {width} x {vocab_size}");
        assert_near(&what, Some(found.0), Some(exact.0));
        assert_near(&what, found.1, exact.1);
        assert_near(&what, found.2, exact.2);
        assert_near(&what, found.3, exact.3);
    }
}

#[test]
fn constants_give_a_plain_loss_and_a_weight_may_be_in_half_precision() {
    let labels = labels(6, 9);
    let rows = CrossEntropy { labels: &labels, factors: None };
    let weight = plain([9, 4], 2).cast(DType::BF16).transpose();
    let x = plain([6, 4], 1);
    let (constant, sum) = loss_of_rows(&weight, None, x.clone(), &rows);
    assert!(!constant.is_autodiff());
    let run = |weight: &Tensor<2>| {
        let x = x.clone().autodiff().require_grad();
        let (loss, found) = loss_of_rows(weight, None, x.clone(), &rows);
        assert!((found - sum).abs() <= 1e-6 * sum.abs(), "{found}, {sum}");
        x.grad(&loss.backward())
    };
    assert_near("half precision", run(&weight), run(&weight.clone().cast(DType::F32)));
}
