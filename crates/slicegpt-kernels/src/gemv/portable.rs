//! The inner loop of [`gemv`](super::gemv) in plain Rust, for instruction sets without explicit
//! vector code.

use crate::isa::MultiplyAdd;
use crate::weight::Weight;

/// Partial sums kept for a single row: two registers of AVX-512.
const ALONE: usize = 32;

/// Rows that share a weight while it is in a register, and the partial sums kept for each.
const TOGETHER: usize = 4;
const SUMS: usize = 16;

/// `out[o][r] = sum_i weights[o][i] x[r][i]`.
///
/// # Shapes
/// - `weights`: `[outputs, inputs]`, as a checkpoint stores them
/// - `x`: `[rows, inputs]`
/// - `out`: `[outputs, rows]`
#[inline(always)]
pub(crate) fn gemv<I: MultiplyAdd, W: Weight>(
    isa: I,
    weights: &[W],
    x: &[f32],
    inputs: usize,
    out: &mut [f32],
) {
    let rows = x.len() / inputs;
    for (weights, out) in weights.chunks_exact(inputs).zip(out.chunks_exact_mut(rows)) {
        let mut row = 0;
        while row + TOGETHER <= rows {
            let mut some: [&[f32]; TOGETHER] = [&[]; TOGETHER];
            for (r, some) in some.iter_mut().enumerate() {
                *some = &x[(row + r) * inputs..(row + r + 1) * inputs];
            }
            let sums = dots::<I, W, TOGETHER, SUMS>(isa, weights, some);
            out[row..row + TOGETHER].copy_from_slice(&sums);
            row += TOGETHER;
        }
        while row < rows {
            let x = [&x[row * inputs..(row + 1) * inputs]];
            [out[row]] = dots::<I, W, 1, ALONE>(isa, weights, x);
            row += 1;
        }
    }
}

/// The products of one row of weights with some rows of `x`.
#[inline(always)]
fn dots<I: MultiplyAdd, W: Weight, const ROWS: usize, const LANES: usize>(
    isa: I,
    weights: &[W],
    x: [&[f32]; ROWS],
) -> [f32; ROWS] {
    let (whole, rest) = weights.as_chunks::<LANES>();
    let mut chunks: [(&[[f32; LANES]], &[f32]); ROWS] = [(&[], &[]); ROWS];
    for row in 0..ROWS {
        let (all, left) = x[row][..weights.len()].as_chunks::<LANES>();
        chunks[row] = (&all[..whole.len()], left);
    }
    let mut sums = [[0.0f32; LANES]; ROWS];
    for (i, weights) in whole.iter().enumerate() {
        // A loop and not `map`: `map` of an array is not always inlined, and would then be compiled
        // for the baseline instructions.
        let mut wide = [0.0f32; LANES];
        for lane in 0..LANES {
            wide[lane] = weights[lane].widen();
        }
        for (sums, (x, _)) in sums.iter_mut().zip(&chunks) {
            for lane in 0..LANES {
                sums[lane] = isa.multiply_add(wide[lane], x[i][lane], sums[lane]);
            }
        }
    }
    let mut dots = [0.0; ROWS];
    for row in 0..ROWS {
        let rest = rest.iter().zip(chunks[row].1);
        dots[row] = sum_by_halves(&mut sums[row]) + rest.map(|(w, x)| w.widen() * x).sum::<f32>();
    }
    dots
}

/// The sum of `sums`, whose length is a power of two. One half is added to the other until one
/// number is left: this needs fewer successive roundings, and the order does not depend on the
/// compiler.
#[inline(always)]
pub(crate) fn sum_by_halves(sums: &mut [f32]) -> f32 {
    let mut half = sums.len() / 2;
    while half > 0 {
        for lane in 0..half {
            sums[lane] += sums[lane + half];
        }
        half /= 2;
    }
    sums[0]
}
