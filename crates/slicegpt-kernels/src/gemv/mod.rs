//! `y + x W` for few rows. This is limited by memory bandwidth, so every weight is read once for
//! all rows, in the type it is stored in.

pub(crate) mod portable;
#[cfg(target_arch = "x86_64")]
pub(crate) mod vectors;

use rayon::prelude::*;

use crate::isa::{Instructions, Kernel, run};
use crate::weight::Weight;

/// The number of rows up to which a product is limited by memory bandwidth and not by arithmetic.
pub(crate) const FEW: usize = 16;

/// The number of weights that a thread takes at a time.
const SHARE: usize = 1 << 17;

/// `y + x W`, in `y`, on all threads.
///
/// # Shapes
/// - `weights`: `[outputs, inputs]`, as a checkpoint stores them
/// - `x`: `[rows, inputs]`
/// - `y`: `[rows, outputs]`
pub(crate) fn gemv<W: Weight>(weights: &[W], x: &[f32], inputs: usize, y: &mut [f32]) {
    let rows = x.len() / inputs;
    let outputs = weights.len() / inputs;
    let share = (SHARE / inputs).max(1);
    let mut by_output = vec![0.0; outputs * rows];
    let shares = by_output.par_chunks_mut(share * rows).zip(weights.par_chunks(share * inputs));
    shares.for_each(|(out, weights)| run(Gemv { weights, x, inputs, out }));
    for (row, y) in y.chunks_exact_mut(outputs).enumerate() {
        let sums = by_output[row..].iter().step_by(rows);
        y.iter_mut().zip(sums).for_each(|(y, sum)| *y += sum);
    }
}

/// `out[o][r] = sum_i weights[o][i] x[r][i]`.
struct Gemv<'a, W> {
    /// `[outputs, inputs]`, as a checkpoint stores them.
    weights: &'a [W],
    /// `[rows, inputs]`.
    x: &'a [f32],
    inputs: usize,
    /// `[outputs, rows]`.
    out: &'a mut [f32],
}

impl<W: Weight> Kernel for Gemv<'_, W> {
    type Output = ();

    #[inline(always)]
    fn run<I: Instructions>(self, isa: I) {
        isa.gemv(self.weights, self.x, self.inputs, self.out);
    }
}
