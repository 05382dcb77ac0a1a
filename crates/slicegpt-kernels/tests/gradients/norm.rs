//! Norms: RMS, LayerNorm and bare, of streams as wide as before slicing and narrower.

use burn::module::Param;
use burn::tensor::Tensor;
use slicegpt_core::Norm;
use slicegpt_kernels::normalise;

use crate::check::{assert_central, assert_near, backward, plain, values};

/// Every kind of norm over `width`, for a stream of `hidden_size` before slicing.
fn norms(width: usize, hidden_size: usize) -> Vec<Norm> {
    let vector = |seed| Some(Param::from_tensor(plain([width], seed).autodiff()));
    let constant = |seed| Some(Param::from_tensor(plain([width], seed)));
    let bare = || Norm::bare(hidden_size, 1e-3);
    vec![
        bare(),
        Norm { weight: vector(2), ..bare() },
        Norm { weight: constant(2), ..bare() },
        Norm { bias: vector(3), ..bare() },
        Norm { centers: true, weight: vector(2), bias: vector(3), ..bare() },
        Norm { centers: true, weight: constant(2), bias: vector(3), ..bare() },
    ]
}

#[test]
fn they_are_those_of_burn() {
    for (width, hidden_size) in [(1, 1), (5, 5), (16, 40), (100, 100), (70, 96)] {
        for [batch, tokens] in [[1, 1], [2, 3], [3, 50]] {
            for norm in norms(width, hidden_size) {
                for tracked in [true, false] {
                    let any = norm.weight.iter().chain(&norm.bias).any(|x| x.val().is_tracked());
                    if !tracked && !any {
                        continue;
                    }
                    let run = |y: fn(&Norm, Tensor<3>) -> Tensor<3>| {
                        let x = plain([batch, tokens, width], 1);
                        let x = if tracked { x.autodiff().require_grad() } else { x };
                        let grads = backward(&y(&norm, x.clone()));
                        let of_vector = |x: &Option<Param<Tensor<1>>>| {
                            let x = x.as_ref()?.val();
                            x.is_tracked().then(|| x.grad(&grads).unwrap())
                        };
                        let of_x = tracked.then(|| x.grad(&grads).unwrap());
                        (of_x, of_vector(&norm.weight), of_vector(&norm.bias))
                    };
                    let (found, exact) = (run(normalise), run(|norm, x| norm.forward(x)));
                    let what = format!("{batch} x {tokens} x {width}, {norm:?}");
                    assert_near(&what, found.0, exact.0);
                    assert_near(&what, found.1, exact.1);
                    assert_near(&what, found.2, exact.2);
                }
            }
        }
    }
}

#[test]
fn they_are_the_central_differences() {
    let width = 6;
    for hidden_size in [6, 9] {
        for centers in [false, true] {
            let vector = |seed| Some(Param::from_tensor(plain([width], seed).autodiff()));
            let bare = Norm::bare(hidden_size, 1e-3);
            let norm = Norm { centers, weight: vector(2), bias: vector(3), ..bare };
            let x = plain([1, 4, width], 1).autodiff().require_grad();
            let grads = backward(&normalise(&norm, x.clone()));
            let [weight, bias] = [&norm.weight, &norm.bias].map(|x| x.as_ref().unwrap().val());
            let formula = |of: &[Vec<f64>]| -> Vec<f64> {
                let [x, weight, bias] = of else { unreachable!() };
                let token = |x: &[f64]| -> Vec<f64> {
                    let mean = if centers { x.iter().sum::<f64>() / width as f64 } else { 0.0 };
                    let square: f64 = x.iter().map(|x| (x - mean).powi(2)).sum();
                    let factor = (square / hidden_size as f64 + 1e-3).sqrt().recip();
                    let vectors = weight.iter().zip(bias);
                    x.iter().zip(vectors).map(|(x, (w, b))| (x - mean) * factor * w + b).collect()
                };
                x.chunks(width).flat_map(token).collect()
            };
            let all = [values(&x), values(&weight), values(&bias)];
            let what = format!("{hidden_size}, {centers}");
            assert_central(&what, &x.grad(&grads).unwrap(), &all, 0, formula);
            assert_central(&what, &weight.grad(&grads).unwrap(), &all, 1, formula);
            assert_central(&what, &bias.grad(&grads).unwrap(), &all, 2, formula);
        }
    }
}
