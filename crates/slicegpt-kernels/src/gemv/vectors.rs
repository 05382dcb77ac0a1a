//! The inner loop of [`gemv`](super::gemv) in explicit vector code. The speed of the plain loop, as
//! the compiler vectorises it, varies by a factor of ten with the code around it.

use pulp::Simd;

use super::portable::sum_by_halves;
use crate::isa::MultiplyAdd;
use crate::weight::Weight;

/// Rows that share a weight while it is in a register.
const TOGETHER: usize = 4;

/// Vectors of partial sums kept for a single row, and for each of several: enough that no addition
/// waits for the one before it.
const ALONE: usize = 4;
const EACH: usize = 2;

/// An instruction set with vectors of float32 and conversions of stored weights to them.
pub(crate) trait Vectors: MultiplyAdd {
    /// The vector type of `pulp`.
    type Simd: Simd;

    /// The token of `pulp` for these vectors.
    fn simd(self) -> Self::Simd;

    /// A vector of float32 from the same number of weights.
    fn widen<W: Weight>(self, weights: &[W]) -> <Self::Simd as Simd>::f32s;
}

/// `out[o][r] = sum_i weights[o][i] x[r][i]`.
///
/// # Shapes
/// - `weights`: `[outputs, inputs]`, as a checkpoint stores them
/// - `x`: `[rows, inputs]`
/// - `out`: `[outputs, rows]`
#[inline(always)]
pub(crate) fn gemv<V: Vectors, W: Weight>(
    isa: V,
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
            let sums = dots::<V, W, TOGETHER, EACH>(isa, weights, some);
            out[row..row + TOGETHER].copy_from_slice(&sums);
            row += TOGETHER;
        }
        while row < rows {
            let x = [&x[row * inputs..(row + 1) * inputs]];
            [out[row]] = dots::<V, W, 1, ALONE>(isa, weights, x);
            row += 1;
        }
    }
}

/// The products of one row of weights with some rows of `x` of the same length.
#[inline(always)]
fn dots<V: Vectors, W: Weight, const ROWS: usize, const SUMS: usize>(
    isa: V,
    weights: &[W],
    x: [&[f32]; ROWS],
) -> [f32; ROWS] {
    let simd = isa.simd();
    let lanes = <V::Simd as Simd>::F32_LANES;
    let step = SUMS * lanes;
    let whole = weights.len() / step;
    let mut chunks: [&[[<V::Simd as Simd>::f32s; SUMS]]; ROWS] = [&[]; ROWS];
    for row in 0..ROWS {
        let (vectors, _) = V::Simd::as_simd_f32s(&x[row][..weights.len()]);
        chunks[row] = &vectors.as_chunks::<SUMS>().0[..whole];
    }
    let mut sums = [[simd.splat_f32s(0.0); SUMS]; ROWS];
    for (i, weights) in weights.chunks_exact(step).enumerate() {
        for sum in 0..SUMS {
            let weights = isa.widen(&weights[sum * lanes..(sum + 1) * lanes]);
            for row in 0..ROWS {
                sums[row][sum] = simd.mul_add_f32s(weights, chunks[row][i][sum], sums[row][sum]);
            }
        }
    }
    let start = whole * step;
    let mut dots = [0.0; ROWS];
    for row in 0..ROWS {
        let mut total = sums[row][0];
        for sum in &sums[row][1..] {
            total = simd.add_f32s(total, *sum);
        }
        let mut numbers = [0.0f32; 16];
        let numbers = &mut numbers[..lanes];
        V::Simd::as_mut_simd_f32s(numbers).0[0] = total;
        let rest = weights[start..].iter().zip(&x[row][start..]);
        dots[row] = sum_by_halves(numbers) + rest.map(|(w, x)| w.widen() * x).sum::<f32>();
    }
    dots
}
