//! Norms, in one pass over each token.

use burn::module::Param;
use burn::tensor::{DType, Tensor};
use rayon::prelude::*;
use slicegpt_core::Norm;

use super::view::View;
use super::{SHARE, in_place, takes};

/// [`Norm::forward`], faster for float32 numbers on the processor.
pub fn normalise(norm: &Norm, x: Tensor<3>) -> Tensor<3> {
    if !takes(&x) {
        return norm.forward(x);
    }
    let [_, _, width] = x.dims();
    let own = |vector: &Param<Tensor<1>>| View::of(vector.val().cast(DType::F32));
    let [weight, bias] = [&norm.weight, &norm.bias].map(|vector| vector.as_ref().map(own));
    let [weight, bias] = [&weight, &bias].map(|vector| vector.as_ref().map(View::values));
    let count = norm.hidden_size as f32;
    let eps = norm.eps as f32;
    in_place(x, |values| {
        let shares = values.par_chunks_exact_mut(width).with_min_len((SHARE / width).max(1));
        shares.for_each(|x| {
            if norm.centers {
                let mean = sum(x, |x| x) / width as f32;
                x.iter_mut().for_each(|x| *x -= mean);
            }
            let factor = (sum(x, |x| x * x) / count + eps).sqrt().recip();
            match weight {
                Some(weight) => x.iter_mut().zip(weight).for_each(|(x, w)| *x = *x * factor * w),
                None => x.iter_mut().for_each(|x| *x *= factor),
            }
            if let Some(bias) = bias {
                x.iter_mut().zip(bias).for_each(|(x, bias)| *x += bias);
            }
        });
    })
}

/// The sum of something of each number, in as many sums as a vector has lanes.
fn sum(x: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    const LANES: usize = 16;
    let (whole, rest) = x.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for x in whole {
        for lane in 0..LANES {
            sums[lane] += of(x[lane]);
        }
    }
    for (sum, x) in sums.iter_mut().zip(rest) {
        *sum += of(*x);
    }
    sums.iter().sum()
}
