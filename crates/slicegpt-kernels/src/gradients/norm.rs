//! The gradients of a norm, `y = n w + b` with `n = (x - m) f` and
//! `f = (sum (x - m)^2 / count + eps)^(-1/2)`, where `m` is the mean or zero.
//!
//! With `g = w dy`, where the mean of `g` is subtracted only if `x` was centred:
//!
//! ```text
//! dx = f (g - mean g) - (x - m) f^3 / count sum (x - m) g
//! dw = sum over tokens of n dy,  db = sum over tokens of dy
//! ```
//!
//! These are the formulas of Layer Normalization (Ba et al., arXiv 1607.06450) with `count` apart
//! from the width: the mean square of a sliced stream is taken over the width before slicing. They
//! hold for any `count`, because the sum of `x - m` is zero if `x` is centred.

use burn::backend::flex::FlexTensor;
use rayon::prelude::*;

use super::record::{Operation, host};
use crate::elementwise::SHARE;
use crate::isa::{Instructions, Kernel, run};
use crate::sums::{sum, sum_of_products, sum_of_squares, total};
use crate::view::View;

/// What the backward pass of a norm needs.
pub(crate) struct Norm {
    /// `[batch, tokens, width]`.
    pub x: View,
    pub weight: Option<View>,
    pub centers: bool,
    /// The width that the mean square is taken over.
    pub count: f32,
    pub eps: f32,
    pub shape: [usize; 3],
}

/// The order of the inputs: `x`, weight, bias.
impl Operation<3> for Norm {
    fn backward(&self, output: View, needed: [bool; 3]) -> [Option<FlexTensor>; 3] {
        let [_, _, width] = self.shape;
        let [of_x, of_weight, of_bias] = needed;
        let tokens = (SHARE / width).max(16);
        let x = self.x.values();
        let mut dx = vec![0.0; x.len()];
        let dy = output.values().par_chunks(tokens * width);
        let pieces = dx.par_chunks_mut(tokens * width).zip(x.par_chunks(tokens * width)).zip(dy);
        let vectors = pieces.map(|((dx, x), dy)| {
            let weight = self.weight.as_ref().map(View::values);
            let mut dweight = vec![0.0; if of_weight { width } else { 0 }];
            let mut dbias = vec![0.0; if of_bias { width } else { 0 }];
            run(Tokens { norm: self, x, weight, dy, dx, dweight: &mut dweight, dbias: &mut dbias });
            (dweight, dbias)
        });
        let (dweight, dbias): (Vec<_>, Vec<_>) = vectors.unzip();
        [
            of_x.then(|| host(dx, self.shape)),
            of_weight.then(|| host(total(dweight, width), [width])),
            of_bias.then(|| host(total(dbias, width), [width])),
        ]
    }
}

/// The gradients of some tokens.
struct Tokens<'a> {
    norm: &'a Norm,
    x: &'a [f32],
    weight: Option<&'a [f32]>,
    dy: &'a [f32],
    dx: &'a mut [f32],
    /// `[width]`, or empty if it is not needed.
    dweight: &'a mut [f32],
    /// `[width]`, or empty if it is not needed.
    dbias: &'a mut [f32],
}

impl Kernel for Tokens<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Instructions>(self, _: I) {
        let Self { norm, x, weight, dy, dx, dweight, dbias } = self;
        let [_, _, width] = norm.shape;
        let tokens = x.chunks_exact(width).zip(dy.chunks_exact(width));
        for ((x, dy), dx) in tokens.zip(dx.chunks_exact_mut(width)) {
            let mean = if norm.centers { sum(x) / width as f32 } else { 0.0 };
            let factor = (sum_of_squares(x, mean) / norm.count + norm.eps).sqrt().recip();
            for ((dweight, x), dy) in dweight.iter_mut().zip(x).zip(dy) {
                *dweight += (x - mean) * factor * dy;
            }
            for (dbias, dy) in dbias.iter_mut().zip(dy) {
                *dbias += dy;
            }
            match weight {
                Some(weight) => {
                    for ((dx, weight), dy) in dx.iter_mut().zip(weight).zip(dy) {
                        *dx = weight * dy;
                    }
                }
                None => dx.copy_from_slice(dy),
            }
            let mean_of_g = if norm.centers { sum(dx) / width as f32 } else { 0.0 };
            let along = sum_of_products(x, mean, dx) * factor.powi(3) / norm.count;
            for (dx, x) in dx.iter_mut().zip(x) {
                *dx = factor * (*dx - mean_of_g) - (x - mean) * along;
            }
        }
    }
}
