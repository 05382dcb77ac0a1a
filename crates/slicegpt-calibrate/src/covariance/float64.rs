//! The sum of outer products in float64, on the host.

use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::{Accum, Mat, MatRef};
use rayon::prelude::*;

/// The number of rows widened to float64 at a time: enough for the product to run at full speed,
/// and few enough that their copy is small compared with the signal.
const CHUNK: usize = 512;

/// Adds the outer products of `rows` to the lower triangle; `wide` is a scratch buffer.
pub fn add(lower: &mut Mat<f64>, rows: &[&[f32]], wide: &mut Vec<f64>) {
    let width = lower.nrows();
    wide.resize(CHUNK.min(rows.len()).max(wide.len() / width) * width, 0.0);
    for rows in rows.chunks(CHUNK) {
        let wide = &mut wide[..rows.len() * width];
        wide.par_chunks_exact_mut(width).zip(rows).for_each(|(wide, row)| {
            wide.iter_mut().zip(*row).for_each(|(wide, x)| *wide = f64::from(*x));
        });
        // Row-major [rows, width] is column-major [width, rows].
        let x = MatRef::from_column_major_slice(wide, width, rows.len());
        add_outer(lower, x);
    }
}

/// Adds `x x^T` to the lower triangle; `x` is `[width, tokens]`.
pub fn add_outer(lower: &mut Mat<f64>, x: MatRef<'_, f64>) {
    triangular::matmul(
        lower.as_mut(),
        BlockStructure::TriangularLower,
        Accum::Add,
        x,
        BlockStructure::Rectangular,
        x.transpose(),
        BlockStructure::Rectangular,
        1.0,
        faer::get_global_parallelism(),
    );
}
