//! Norms, in one pass over each token.

use burn::module::Param;
use burn::tensor::{DType, Tensor, TensorData};
use rayon::prelude::*;
use slicegpt_core::Norm;

use super::view::View;
use super::{SHARE, takes};

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
    let shape = x.dims();
    let device = x.device();
    // The stream goes on beside what is normalised: it is read where it is, and not copied first.
    let x = View::of(x);
    let mut normed = vec![0.0; x.values().len()];
    let tokens = normed.par_chunks_exact_mut(width).zip(x.values().par_chunks_exact(width));
    tokens.with_min_len((SHARE / width).max(1)).for_each(|(y, x)| {
        let mean = if norm.centers { sum(x, |x| x) / width as f32 } else { 0.0 };
        let squares = sum(x, |x| (x - mean) * (x - mean));
        let factor = (squares / count + eps).sqrt().recip();
        match weight {
            Some(weight) => {
                let x = x.iter().zip(weight);
                y.iter_mut().zip(x).for_each(|(y, (x, w))| *y = (x - mean) * factor * w);
            }
            None => y.iter_mut().zip(x).for_each(|(y, x)| *y = (x - mean) * factor),
        }
        if let Some(bias) = bias {
            y.iter_mut().zip(bias).for_each(|(y, bias)| *y += bias);
        }
    });
    Tensor::from_data(TensorData::new(normed, shape), &device)
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

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution};

    use super::*;

    #[test]
    fn it_is_the_norm() {
        let device = Device::flex();
        for width in [1, 5, 16, 100] {
            let some = || {
                let vector = Tensor::random([width], Distribution::Default, &device);
                Some(Param::from_tensor(vector))
            };
            let bare = || Norm::bare(width + 3, 1e-5);
            for norm in [
                bare(),
                Norm { weight: some(), ..bare() },
                Norm { centers: true, weight: some(), bias: some(), ..bare() },
            ] {
                let x = Tensor::random([2, 7, width], Distribution::Normal(1.0, 3.0), &device);
                let exact = norm.forward(x.clone());
                let error = (normalise(&norm, x) - exact).abs().max().into_scalar::<f32>();
                assert!(error < 5e-6, "{width}, {norm:?}: {error}");
            }
        }
    }
}
