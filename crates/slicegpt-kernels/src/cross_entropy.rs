//! Cross-entropy of a head's predictions, without its logits in memory.
//!
//! With a large vocabulary, the logits of a text can be as large as the model. Here they are
//! computed a tile at a time, some tokens by a part of the vocabulary. Each tile is reduced to
//! three numbers per token: the greatest logit `m`, `sum e^(x - m)`, and the logit of the label if
//! it is in the tile.

use burn::tensor::{DType, Tensor};
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;
use slicegpt_core::Head;

use crate::elementwise::{exp, greatest};
use crate::isa::{Instructions, Kernel, run};
use crate::norm::normalise;
use crate::view::{View, as_flex};

/// The tokens and the vocabulary entries of a tile, which stays in a core's second-level cache. The
/// entries are a multiple of the number that faer's kernels compute at a time.
const ROWS: usize = 1 << 10;
const COLUMNS: usize = 96;

/// `-log softmax(logits)[label]` for each token of a stream, from its last norm on. NaN where a
/// logit is NaN or infinite.
///
/// # Shapes
/// - `stream`: `[batch, tokens, width]`
/// - `labels` and output: `[batch * tokens]`
///
/// # Panics
///
/// If the stream is not [host float32](crate::is_host_f32), there is not one label per token, or a
/// label is outside the vocabulary.
pub fn cross_entropy(head: &Head, stream: Tensor<3>, labels: &[u32]) -> Vec<f64> {
    let normed = View::of(normalise(&head.norm, stream));
    let weight = head.linear.weight.val();
    let [width, vocab_size] = weight.dims();
    assert_eq!(normed.values().len(), labels.len() * width, "one label per token");
    assert!(labels.iter().all(|id| (*id as usize) < vocab_size), "labels are of the vocabulary");
    let bias = head.linear.bias.as_ref().map(|bias| View::of(bias.val().cast(DType::F32)));
    let bias = bias.as_ref().map(View::values);
    // The layout of a checkpoint. A weight in another layout or type is copied.
    let stored = as_flex(weight.transpose().cast(DType::F32)).to_contiguous();
    let weight: &[f32] = stored.as_slice().expect("it is contiguous");
    let tiles = vocab_size.div_ceil(COLUMNS);
    let mut losses = Vec::with_capacity(labels.len());
    for (x, labels) in normed.values().chunks(ROWS * width).zip(labels.chunks(ROWS)) {
        let rows = labels.len();
        let x = MatRef::from_row_major_slice(x, rows, width);
        let mut partials = vec![Partial::default(); tiles * rows];
        let of_tiles = partials.par_chunks_mut(rows).zip(weight.par_chunks(COLUMNS * width));
        of_tiles.enumerate().for_each_init(Vec::new, |logits, (tile, (partials, weight))| {
            let start = tile * COLUMNS;
            let columns = weight.len() / width;
            let weight = MatRef::from_column_major_slice(weight, width, columns);
            logits.clear();
            match bias {
                Some(bias) => {
                    let bias = &bias[start..start + columns];
                    (0..rows).for_each(|_| logits.extend_from_slice(bias));
                }
                None => logits.resize(rows * columns, 0.0),
            }
            let y = MatMut::from_row_major_slice_mut(logits, rows, columns);
            let accum = if bias.is_some() { Accum::Add } else { Accum::Replace };
            matmul(y, accum, x, weight, 1.0, Par::Seq);
            for ((partial, row), label) in
                partials.iter_mut().zip(logits.chunks_exact(columns)).zip(labels)
            {
                let here = (*label as usize).checked_sub(start).and_then(|at| row.get(at));
                partial.label = here.copied().unwrap_or(0.0);
            }
            run(SumsOfExponentials { logits, columns, partials });
        });
        losses.extend((0..rows).map(|row| loss(partials[row..].iter().step_by(rows))));
    }
    losses
}

/// The three numbers that a tile of logits gives for one token.
#[derive(Clone, Copy, Default)]
struct Partial {
    greatest: f32,
    /// `sum e^(x - greatest)`.
    sum: f32,
    /// The logit of the label if it is in this tile, else zero.
    label: f32,
}

/// `log(sum e^x) - x[label]` from the tiles of a token, in float64.
fn loss<'a>(partials: impl Iterator<Item = &'a Partial> + Clone) -> f64 {
    let greatest =
        partials.clone().map(|x| f64::from(x.greatest)).fold(f64::NEG_INFINITY, f64::max);
    let mut sum = 0.0;
    let mut label = 0.0;
    for partial in partials {
        sum += f64::from(partial.sum) * (f64::from(partial.greatest) - greatest).exp();
        label += f64::from(partial.label);
    }
    sum.ln() + greatest - label
}

/// The greatest logit of each row, and the sum of the exponentials of the differences from it.
struct SumsOfExponentials<'a> {
    /// `[rows, columns]`.
    logits: &'a [f32],
    columns: usize,
    /// `[rows]`.
    partials: &'a mut [Partial],
}

impl Kernel for SumsOfExponentials<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Instructions>(self, isa: I) {
        const LANES: usize = 32;
        for (row, partial) in self.logits.chunks_exact(self.columns).zip(self.partials) {
            let greatest = greatest(row);
            // If all logits are minus infinity, their differences from the greatest would be NaN.
            let from = if greatest == f32::NEG_INFINITY { 0.0 } else { greatest };
            let mut sums = [0.0; LANES];
            let (whole, rest) = row.as_chunks::<LANES>();
            for chunk in whole {
                for lane in 0..LANES {
                    sums[lane] += exp(isa, chunk[lane] - from);
                }
            }
            for (sum, x) in sums.iter_mut().zip(rest) {
                *sum += exp(isa, x - from);
            }
            partial.greatest = greatest;
            partial.sum = sums.iter().sum();
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::module::Param;
    use burn::nn::Linear;
    use burn::tensor::{Device, Distribution, activation::log_softmax};
    use slicegpt_core::Norm;

    use super::*;
    use crate::logits;

    fn head(vocab_size: usize, width: usize, bias: bool) -> Head {
        let device = Device::flex();
        let weight = Tensor::random([vocab_size, width], Distribution::Normal(0.0, 1.0), &device);
        let bias = bias.then(|| {
            Param::from_tensor(Tensor::random([vocab_size], Distribution::Default, &device))
        });
        let linear = Linear { weight: Param::from_tensor(weight.transpose()), bias };
        Head { norm: Norm::bare(width, 1e-5), linear }
    }

    #[test]
    fn it_is_the_log_softmax_of_the_label() {
        for (vocab_size, rows, bias) in [(1, 1, false), (7, 3, true), (400, 1030, true)] {
            let head = head(vocab_size, 12, bias);
            let normal = Distribution::Normal(0.0, 1.0);
            let stream = Tensor::<3>::random([1, rows, 12], normal, &Device::flex());
            let labels: Vec<u32> = (0..rows).map(|i| (i * 37 % vocab_size) as u32).collect();
            let found = cross_entropy(&head, stream.clone(), &labels);
            let exact = log_softmax(logits(&head, stream), 2).into_data_dtype(DType::F64);
            let exact: Vec<f64> = exact.try_into_vec().unwrap();
            for (row, (found, label)) in found.iter().zip(&labels).enumerate() {
                let exact = -exact[row * vocab_size + *label as usize];
                assert!((found - exact).abs() < 1e-5, "{vocab_size}, {row}: {found}, {exact}");
            }
        }
    }

    #[test]
    fn damage_is_not_hidden() {
        let mut head = head(300, 4, true);
        let stream = Tensor::<3>::ones([1, 2, 4], &Device::flex());
        for bad in [f32::NAN, f32::INFINITY] {
            let bias = Tensor::zeros([300], &Device::flex()).slice_fill(200..201, bad);
            head.linear.bias = Some(Param::from_tensor(bias));
            let found = cross_entropy(&head, stream.clone(), &[0, 1]);
            assert!(found.iter().all(|loss| loss.is_nan()), "{bad}: {found:?}");
        }
        // A token with probability zero does not affect the others.
        let bias = Tensor::zeros([300], &Device::flex());
        let bias = bias.slice_fill(128..256, f32::NEG_INFINITY);
        head.linear.bias = Some(Param::from_tensor(bias));
        let found = cross_entropy(&head, stream, &[0, 130]);
        assert!(found[0].is_finite() && found[1] == f64::INFINITY, "{found:?}");
    }
}
