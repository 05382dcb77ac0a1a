//! `y + x W` for few rows: what it waits for is memory, so each weight is taken from there once, in the type it
//! is stored as.

use rayon::prelude::*;

use super::simd::Products;

/// Rows up to which memory, not arithmetic, is what a product waits for.
pub const FEW: usize = 16;

/// Weights that a core is given at a time.
const SHARE: usize = 1 << 17;

/// `y + x W`, in `y`, by all cores.
///
/// # Shapes
/// - `weights`: `[outputs, inputs]`, as a checkpoint stores them
/// - `x`: `[rows, inputs]`
/// - `y`: `[rows, outputs]`
pub fn few<W: Sync>(weights: &[W], x: &[f32], inputs: usize, y: &mut [f32], products: Products<W>) {
    let rows = x.len() / inputs;
    let outputs = weights.len() / inputs;
    let share = (SHARE / inputs).max(1);
    let mut by_output = vec![0.0; outputs * rows];
    let shares = by_output.par_chunks_mut(share * rows).zip(weights.par_chunks(share * inputs));
    shares.for_each(|(out, weights)| products(weights, x, inputs, out));
    for (row, y) in y.chunks_exact_mut(outputs).enumerate() {
        let sums = by_output[row..].iter().step_by(rows);
        y.iter_mut().zip(sums).for_each(|(y, sum)| *y += sum);
    }
}
