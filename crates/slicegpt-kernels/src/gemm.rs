//! `y + x W` for many rows, which is limited by arithmetic.
//!
//! faer computes the products; its kernels take half the time of those of Burn's CPU backend.
//! Weights in half precision are widened a few outputs at a time, while they are in the cache.

use std::ops::Range;

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use half::slice::HalfFloatSliceExt;
use rayon::prelude::*;

/// A product of at most this many multiplications runs on one thread.
const SHORT: usize = 1 << 17;

/// The largest number of outputs that a thread takes at a time, a multiple of [`STEP`]. With many
/// more, widened weights would leave the cache, and the last share would leave threads idle.
const OUTPUTS: usize = 96;

/// A multiple of the 24 (AVX2) and 48 (AVX-512) outputs that faer's kernels compute at a time: the
/// outputs left over at the end of a share are computed at a lower rate.
const STEP: usize = 48;

/// The number of rows that a thread takes at a time.
const ROWS: usize = 1 << 10;

/// `y + x W`, in `y`, for float32 weights.
///
/// # Shapes
/// - `weights`: `[inputs, outputs]`, in any memory layout
/// - `x`: `[rows, inputs]`
/// - `y`: `[rows, outputs]`
pub(crate) fn gemm(weights: MatRef<'_, f32>, x: &[f32], y: &mut [f32]) {
    share_out(x, weights.nrows(), y, weights.ncols(), |_, outputs, x, y| {
        matmul(y, Accum::Add, x, weights.subcols(outputs.start, outputs.len()), 1.0, Par::Seq);
    });
}

/// The same for weights in half precision.
///
/// # Shapes
/// - `weights`: `[outputs, inputs]`, as a checkpoint stores them
pub(crate) fn gemm_halves<W: Sync>(weights: &[W], x: &[f32], inputs: usize, y: &mut [f32])
where
    [W]: HalfFloatSliceExt,
{
    share_out(x, inputs, y, weights.len() / inputs, |scratch, outputs, x, y| {
        let halves = &weights[outputs.start * inputs..outputs.end * inputs];
        scratch.resize(halves.len(), 0.0);
        halves.convert_to_f32_slice(scratch);
        let weights = MatRef::from_column_major_slice(scratch.as_slice(), inputs, outputs.len());
        matmul(y, Accum::Add, x, weights, 1.0, Par::Seq);
    });
}

/// `y + x W^T`, in `y`, for weights in half precision.
///
/// # Shapes
/// - `weights`: `[outputs, inputs]`, as a checkpoint stores them
/// - `x`: `[rows, outputs]`
/// - `y`: `[rows, inputs]`
pub(crate) fn gemm_halves_transposed<W: Sync>(
    weights: &[W],
    x: &[f32],
    inputs: usize,
    y: &mut [f32],
) where
    [W]: HalfFloatSliceExt,
{
    let outputs = weights.len() / inputs;
    share_out(x, outputs, y, inputs, |scratch, range, x, y| {
        scratch.resize(outputs * range.len(), 0.0);
        let rows = scratch.chunks_exact_mut(range.len()).zip(weights.chunks_exact(inputs));
        rows.for_each(|(wide, halves)| halves[range.clone()].convert_to_f32_slice(wide));
        let weights = MatRef::from_row_major_slice(scratch.as_slice(), outputs, range.len());
        matmul(y, Accum::Add, x, weights, 1.0, Par::Seq);
    });
}

/// `x^T y`, on all threads.
///
/// # Shapes
/// - `x`: `[rows, width]`
/// - `y`: `[rows, width2]`
/// - output: `[width, width2]`
pub(crate) fn transposed_times(x: &[f32], width: usize, y: &[f32], width2: usize) -> Vec<f32> {
    let rows = x.len() / width;
    let x = MatRef::from_row_major_slice(x, rows, width).transpose();
    let y = MatRef::from_row_major_slice(y, rows, width2);
    let mut products = vec![0.0; width * width2];
    let out = MatMut::from_row_major_slice_mut(&mut products, width, width2);
    if rows * width * width2 <= SHORT {
        matmul(out, Accum::Replace, x, y, 1.0, Par::Seq);
    } else if width >= width2 {
        let share = tall_share(width);
        out.par_row_chunks_mut(share).enumerate().for_each(|(index, out)| {
            let x = x.subrows(index * share, out.nrows());
            matmul(out, Accum::Replace, x, y, 1.0, Par::Seq);
        });
    } else {
        let share = tall_share(width2);
        out.par_col_chunks_mut(share).enumerate().for_each(|(index, out)| {
            let y = y.subcols(index * share, out.ncols());
            matmul(out, Accum::Replace, x, y, 1.0, Par::Seq);
        });
    }
    products
}

/// The rows or columns of [`transposed_times`] that a thread takes at a time: two shares for each,
/// because every share packs the whole of the other matrix.
fn tall_share(width: usize) -> usize {
    width.div_ceil(2 * rayon::current_num_threads()).next_multiple_of(STEP)
}

/// Distributes rows and outputs among threads. `product` gets a scratch buffer, a range of outputs,
/// rows of `x`, and the part of `y` for them.
fn share_out(
    x: &[f32],
    inputs: usize,
    y: &mut [f32],
    outputs: usize,
    product: impl Fn(&mut Vec<f32>, Range<usize>, MatRef<'_, f32>, MatMut<'_, f32>) + Sync,
) {
    let short = y.len() * inputs <= SHORT;
    let shares = outputs.div_ceil(OUTPUTS).next_multiple_of(rayon::current_num_threads());
    let share = outputs.div_ceil(shares).next_multiple_of(STEP);
    let of_rows = |(x, y): (&[f32], &mut [f32])| {
        let rows = y.len() / outputs;
        let x = MatRef::from_row_major_slice(x, rows, inputs);
        let y = MatMut::from_row_major_slice_mut(y, rows, outputs);
        if short {
            return product(&mut Vec::new(), 0..outputs, x, y);
        }
        let parts = y.par_col_chunks_mut(share).enumerate();
        parts.for_each_init(Vec::new, |scratch, (index, y)| {
            let start = index * share;
            product(scratch, start..start + y.ncols(), x, y);
        });
    };
    let parts = x.par_chunks(ROWS * inputs).zip(y.par_chunks_mut(ROWS * outputs));
    parts.for_each(of_rows);
}
