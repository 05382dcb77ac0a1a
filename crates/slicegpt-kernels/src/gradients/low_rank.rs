//! The gradients of a weight `M = W + c A B` with frozen `W`, and of linears with such a weight
//! (LoRA, Hu et al., arXiv 2106.09685).
//!
//! With `dM` the gradient of the weight, `dA = c dM B^T` and `dB = c A^T dM`. In a linear
//! `y = s + x M + b`, `dM = x^T dy`, so `dA = c x^T (dy B^T)` and `dB = c (x A)^T dy`: products
//! with thin matrices only, and `dM` itself is never computed.

use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;
use faer::MatRef;

use super::record::{Operation, host};
use crate::gemm::{gemm, transposed_times};
use crate::product::times_transposed;
use crate::sums::sum_of_rows;
use crate::view::View;

/// `A`, `[inputs, rank]`, `B`, `[rank, outputs]`, and the factor of their product.
pub(crate) struct Factors {
    pub a: View,
    pub b: View,
    pub scale: f32,
}

impl Factors {
    /// `[inputs, rank, outputs]`.
    fn shape(&self) -> [usize; 3] {
        let (rank, outputs) = (self.a.width(), self.b.width());
        [self.a.values().len() / rank, rank, outputs]
    }

    /// `c y B^T`, `[rows, rank]`.
    fn times_b(&self, y: &[f32]) -> Vec<f32> {
        let [_, rank, outputs] = self.shape();
        let b = MatRef::from_row_major_slice(self.b.values(), rank, outputs);
        let mut product = vec![0.0; y.len() / outputs * rank];
        gemm(b.transpose(), y, &mut product);
        product.iter_mut().for_each(|x| *x *= self.scale);
        product
    }

    /// `c x A`, `[rows, rank]`.
    fn times_a(&self, x: &[f32]) -> Vec<f32> {
        let [inputs, rank, _] = self.shape();
        let a = MatRef::from_row_major_slice(self.a.values(), inputs, rank);
        let mut product = vec![0.0; x.len() / inputs * rank];
        gemm(a, x, &mut product);
        product.iter_mut().for_each(|x| *x *= self.scale);
        product
    }

    /// Adds `c (A B)^T` to a matrix, `[outputs, inputs]`.
    pub fn add_to(&self, transposed: &mut [f32]) {
        let [inputs, rank, outputs] = self.shape();
        let b = self.b.values();
        let b = (0..outputs * rank).map(|at| self.scale * b[at % rank * outputs + at / rank]);
        let a = MatRef::from_row_major_slice(self.a.values(), inputs, rank);
        gemm(a.transpose(), &b.collect::<Vec<f32>>(), transposed);
    }
}

/// The sum of a weight and the product of its factors, for operations that do not know the factors.
/// The order of the inputs: `A`, `B`.
pub(crate) struct Merge(pub Factors);

impl Operation<2> for Merge {
    fn backward(&self, output: View, needed: [bool; 2]) -> [Option<FlexTensor>; 2] {
        let dm = output.values();
        let [inputs, rank, outputs] = self.0.shape();
        let [of_a, of_b] = needed;
        [
            of_a.then(|| host(self.0.times_b(dm), [inputs, rank])),
            of_b.then(|| {
                let mut db = transposed_times(self.0.a.values(), rank, dm, outputs);
                db.iter_mut().for_each(|x| *x *= self.0.scale);
                host(db, [rank, outputs])
            }),
        ]
    }
}

/// What the backward pass of a linear with such a weight needs.
pub(crate) struct LowRankLinear<const D: usize> {
    pub factors: Factors,
    pub x: View,
    /// The sum, `[inputs, outputs]`, if `x` is tracked.
    pub merged: Option<Tensor<2>>,
    /// `[.., inputs]`.
    pub shape: [usize; D],
}

/// The order of the inputs: `x`, `A`, `B`, bias, sum.
impl<const D: usize> Operation<5> for LowRankLinear<D> {
    fn backward(&self, output: View, needed: [bool; 5]) -> [Option<FlexTensor>; 5] {
        let dy = output.values();
        let [inputs, rank, outputs] = self.factors.shape();
        let [of_x, of_a, of_b, of_bias, of_sum] = needed;
        let merged = self.merged.as_ref().filter(|_| of_x);
        let x = self.x.values();
        [
            merged.map(|merged| {
                let mut dx = vec![0.0; dy.len() / outputs * inputs];
                times_transposed(merged, dy, &mut dx);
                host(dx, self.shape)
            }),
            of_a.then(|| {
                let thin = self.factors.times_b(dy);
                host(transposed_times(x, inputs, &thin, rank), [inputs, rank])
            }),
            of_b.then(|| {
                let thin = self.factors.times_a(x);
                host(transposed_times(&thin, rank, dy, outputs), [rank, outputs])
            }),
            of_bias.then(|| host(sum_of_rows(dy, outputs), [outputs])),
            of_sum.then(|| output.tensor()),
        ]
    }
}
