//! Norms, in two passes over each token.

use burn::module::Param;
use burn::tensor::{DType, Tensor, TensorData};
use rayon::prelude::*;
use slicegpt_core::Norm;

use crate::elementwise::SHARE;
use crate::gradients;
use crate::gradients::record::{Node, part, part_of, record};
use crate::isa::{Instructions, Kernel, run};
use crate::sums::{sum, sum_of_squares};
use crate::view::{View, has_kernels};

/// [`Norm::forward`]; faster for tensors that [have kernels](has_kernels), Burn's for everything
/// else.
///
/// # Shapes
/// - `x` and output: `[batch, tokens, width]`
pub fn normalise(norm: &Norm, x: Tensor<3>) -> Tensor<3> {
    if !has_kernels(&x) {
        return norm.forward(x);
    }
    let shape @ [_, _, width] = x.dims();
    let (x, of_x) = part(x);
    let own = |vector: &Param<Tensor<1>>| vector.val().cast(DType::F32);
    let [(weight, of_weight), (bias, of_bias)] =
        [&norm.weight, &norm.bias].map(|vector| part_of(vector.as_ref().map(own)));
    let device = x.device();
    let [weight, bias] = [weight, bias].map(|vector| vector.map(View::of));
    let (centers, count, eps) = (norm.centers, norm.hidden_size as f32, norm.eps as f32);
    // The residual path still needs `x`, so the result goes to new memory.
    let x = View::of(x);
    let mut normed = vec![0.0; x.values().len()];
    let tokens = normed.par_chunks_exact_mut(width).zip(x.values().par_chunks_exact(width));
    tokens.with_min_len((SHARE / width).max(1)).for_each(|(y, x)| {
        let [weight, bias] = [&weight, &bias].map(|vector| vector.as_ref().map(View::values));
        run(NormaliseToken { x, y, centers, count, eps, weight, bias });
    });
    let y = Tensor::from_data(TensorData::new(normed, shape), &device);
    let nodes = [of_x, of_weight, of_bias];
    let tracked = nodes.iter().any(Node::is_tracked);
    let operation =
        tracked.then(|| gradients::norm::Norm { x, weight, centers, count, eps, shape });
    record(nodes, y, operation)
}

/// Normalises one token.
struct NormaliseToken<'a> {
    x: &'a [f32],
    y: &'a mut [f32],
    centers: bool,
    /// The width that the mean square is taken over.
    count: f32,
    eps: f32,
    weight: Option<&'a [f32]>,
    bias: Option<&'a [f32]>,
}

impl Kernel for NormaliseToken<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Instructions>(self, _: I) {
        let Self { x, y, centers, count, eps, weight, bias } = self;
        let mean = if centers { sum(x) / x.len() as f32 } else { 0.0 };
        let factor = (sum_of_squares(x, mean) / count + eps).sqrt().recip();
        match weight {
            Some(weight) => {
                for (y, (x, w)) in y.iter_mut().zip(x.iter().zip(weight)) {
                    *y = (x - mean) * factor * w;
                }
            }
            None => {
                for (y, x) in y.iter_mut().zip(x) {
                    *y = (x - mean) * factor;
                }
            }
        }
        if let Some(bias) = bias {
            for (y, bias) in y.iter_mut().zip(bias) {
                *y += bias;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution};

    use super::*;

    #[test]
    fn it_is_the_norm() {
        let device = Device::flex();
        for width in [1, 5, 16, 100] {
            let random = || {
                let vector = Tensor::random([width], Distribution::Default, &device);
                Some(Param::from_tensor(vector))
            };
            let bare = || Norm::bare(width + 3, 1e-5);
            for norm in [
                bare(),
                Norm { weight: random(), ..bare() },
                Norm { centers: true, weight: random(), bias: random(), ..bare() },
            ] {
                let x = Tensor::random([2, 7, width], Distribution::Normal(1.0, 3.0), &device);
                let exact = norm.forward(x.clone());
                let error = (normalise(&norm, x) - exact).abs().max().into_scalar::<f32>();
                assert!(error < 5e-6, "{width}, {norm:?}: {error}");
            }
        }
    }
}
