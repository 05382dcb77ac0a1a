//! The sum in float64, on the host.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};
use rayon::prelude::*;

use super::tiles::for_each_lower;

/// Rows widened to float64 at a time: enough for the product to run at full speed, little enough
/// to stay small next to the signal.
const CHUNK: usize = 1024;

/// Adds the outer products of `rows` to the lower triangle.
pub fn add(lower: &mut Mat<f64>, rows: &[&[f32]]) {
    let width = lower.nrows();
    let mut wide = vec![0.0; CHUNK.min(rows.len()) * width];
    for rows in rows.chunks(CHUNK) {
        let wide = &mut wide[..rows.len() * width];
        wide.par_chunks_exact_mut(width).zip(rows).for_each(|(wide, row)| {
            wide.iter_mut().zip(*row).for_each(|(wide, x)| *wide = f64::from(*x));
        });
        // Row-major [rows, width] is column-major [width, rows].
        let x = MatRef::from_column_major_slice(wide, width, rows.len());
        for_each_lower(lower, |row, column, tile| {
            let left = x.subrows(row, tile.nrows());
            let right = x.subrows(column, tile.ncols());
            matmul(tile, Accum::Add, left, right.transpose(), 1.0, Par::Seq);
        });
    }
}
