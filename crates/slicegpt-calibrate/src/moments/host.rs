//! The sums in float64, on the host.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, get_global_parallelism};
use rayon::prelude::*;

use crate::covariance::add_outer;

/// The number of rows widened to float64 at a time.
const CHUNK: usize = 512;

/// Scratch buffers.
#[derive(Default)]
pub struct Scratch {
    x: Vec<f64>,
    y: Vec<f64>,
}

/// Adds the kept rows of inputs, each followed by the constant, and of targets, all row-major.
pub fn add(
    gram: &mut Mat<f64>,
    cross: &mut Mat<f64>,
    [x, y, constant]: &[Vec<f32>; 3],
    keep: Option<&[bool]>,
    scratch: &mut Scratch,
) {
    let (inputs, targets) = (gram.nrows() - 1, cross.ncols());
    let kept: Vec<usize> = match keep {
        None => (0..x.len() / inputs).collect(),
        Some(keep) => (0..keep.len()).filter(|row| keep[*row]).collect(),
    };
    for rows in kept.chunks(CHUNK) {
        let Scratch { x: wide_x, y: wide_y } = scratch;
        wide_x.resize(rows.len() * (inputs + 1), 0.0);
        wide_y.resize(rows.len() * targets, 0.0);
        widen(x, inputs, rows, wide_x, inputs + 1);
        let last = wide_x.chunks_exact_mut(inputs + 1).zip(rows);
        last.for_each(|(wide, row)| wide[inputs] = f64::from(constant[*row]));
        widen(y, targets, rows, wide_y, targets);
        // Row-major [rows, width] is column-major [width, rows].
        let x = MatRef::from_column_major_slice(wide_x.as_slice(), inputs + 1, rows.len());
        let y = MatRef::from_column_major_slice(wide_y.as_slice(), targets, rows.len());
        add_outer(gram, x);
        matmul(cross.as_mut(), Accum::Add, x, y.transpose(), 1.0, get_global_parallelism());
    }
}

/// Copies `rows` of `from`, `width` wide, as float64 to the start of each row of `to`, `stride`
/// wide.
fn widen(from: &[f32], width: usize, rows: &[usize], to: &mut [f64], stride: usize) {
    to.par_chunks_exact_mut(stride).zip(rows).for_each(|(to, row)| {
        let from = &from[row * width..][..width];
        to.iter_mut().zip(from).for_each(|(to, x)| *to = f64::from(*x));
    });
}
