//! The sum at float64 grade from float32 products, on the host.
//!
//! Every token is cut in two, `x = h + l`, where `h` holds the leading bits of `x`:
//!
//! ```text
//! x^T x = h^T h + a^T l + l^T a,    a = h + l / 2
//! ```
//!
//! The products of some rows are summed in float32, and these sums in float64. `h^T h` is exact:
//! column `j` of `h` is a multiple of `u_j`, a power of two of at least `|x_j| / 2^12`, so that by
//! Cauchy and Schwarz every sum of products is a whole number of `u_i u_j` below `2^24`. `l` is `2^-9`
//! of `x` and smaller, and with it the rounding of the other products.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef, Par};
use rayon::prelude::*;

use super::NotFinite;
use super::tiles::for_each_lower;

/// A piece of some rows, `[width, rows]`.
type Piece<'a> = MatRef<'a, f32>;

/// Rows cut before they are multiplied.
const CHUNK: usize = 1024;

/// Adds the outer products of `rows` to the lower triangle.
///
/// # Errors
///
/// If a value is not finite.
pub fn add(lower: &mut Mat<f64>, rows: &[&[f32]]) -> Result<(), NotFinite> {
    let width = lower.nrows();
    let Some(scale) = scale(rows)? else { return Ok(()) };
    let unscale = f64::from(scale).powi(-2);
    let step = rows_at_a_time(rows.len(), width);
    let [mut high, mut low, mut middle] =
        [(); 3].map(|()| vec![0f32; CHUNK.min(rows.len()) * width]);
    for rows in rows.chunks(CHUNK) {
        let [high, low, middle] =
            [&mut high, &mut low, &mut middle].map(|x| &mut x[..rows.len() * width]);
        let pieces = high
            .par_chunks_mut(step * width)
            .zip(low.par_chunks_mut(step * width))
            .zip(middle.par_chunks_mut(step * width));
        pieces.zip(rows.par_chunks(step)).for_each(|(((high, low), middle), rows)| {
            cut(rows, scale, high, low, middle);
        });
        let [h, l, a] = [&*high, &*low, &*middle]
            .map(|x| MatRef::from_column_major_slice(x, width, rows.len()));
        for_each_lower(lower, |row, column, mut tile| {
            let [height, width] = [tile.nrows(), tile.ncols()];
            let mut sum = Mat::<f32>::zeros(height, width);
            for start in (0..rows.len()).step_by(step) {
                let length = step.min(rows.len() - start);
                let product = |sum: &mut Mat<f32>, accum, x: Piece<'_>, y: Piece<'_>| {
                    let x = x.submatrix(row, start, height, length);
                    let y = y.submatrix(column, start, width, length).transpose();
                    matmul(sum.as_mut(), accum, x, y, 1.0, Par::Seq);
                };
                product(&mut sum, Accum::Replace, h, h);
                widen(&sum, unscale, tile.as_mut());
                product(&mut sum, Accum::Replace, a, l);
                product(&mut sum, Accum::Add, l, a);
                widen(&sum, unscale, tile.as_mut());
            }
        });
    }
    Ok(())
}

/// `tile <- tile + unscale * sum`, in float64.
fn widen(sum: &Mat<f32>, unscale: f64, mut tile: MatMut<'_, f64>) {
    for j in 0..sum.ncols() {
        let column = tile.as_mut().col_mut(j).try_as_col_major_mut();
        let to = column.expect("tiles are column-major").as_slice_mut();
        to.iter_mut().zip(sum.col_as_slice(j)).for_each(|(to, x)| *to += f64::from(*x) * unscale);
    }
}

/// The power of two that brings the largest magnitude to between 1/2 and 1; nothing where all is
/// zero.
fn scale(rows: &[&[f32]]) -> Result<Option<f32>, NotFinite> {
    let largest = rows.par_iter().map(|row| {
        // A sum of zeros, or a NaN: a maximum would step over it.
        let damage: f32 = row.iter().map(|x| x * 0.0).sum();
        row.iter().fold(damage, |largest, x| largest + (x.abs() - largest).max(0.0))
    });
    let largest = largest.reduce(|| 0.0, |a, b| if a.is_nan() || a > b { a } else { b });
    if !largest.is_finite() {
        return Err(NotFinite);
    }
    let exponent = (-largest.log2().floor() as i32 - 1).clamp(-126, 126);
    Ok((largest > 0.0).then(|| 2f32.powi(exponent)))
}

/// How many rows are summed in float32 before their sum goes into float64. What `l` brings is the
/// more precise the fewer there are, and the less precise in relation to the whole the fewer tokens
/// there are in all: measured on random tokens, the most that stays below 2^-34.
fn rows_at_a_time(rows: usize, width: usize) -> usize {
    let most = 16.0 * (rows as f64 / width as f64).sqrt();
    [64, 32, 16].into_iter().find(|step| *step as f64 <= most).unwrap_or(8)
}

/// Adding and subtracting it rounds a float32 below `2^22` to a whole number.
const ROUND: f32 = 1.5 * (1 << 23) as f32;

/// Cuts some rows, scaled: into leading bits, what is left, and the leading bits with half of what
/// is left.
fn cut(rows: &[&[f32]], scale: f32, high: &mut [f32], low: &mut [f32], middle: &mut [f32]) {
    let width = rows[0].len();
    // First the squares of the lengths of the columns, then the units they give.
    let mut units = vec![0f32; width];
    for row in rows {
        units.iter_mut().zip(*row).for_each(|(sum, x)| *sum += (x * scale) * (x * scale));
    }
    for unit in &mut units {
        // A little more than 2^-12 of the length, for the rounding of the leading bits and of this
        // sum; then the next power of two.
        let exact = (unit.sqrt() * (1.004 / 4096.0)).max(f32::MIN_POSITIVE);
        *unit = f32::from_bits((exact.to_bits() + 0x007f_ffff) & 0x7f80_0000);
    }
    let inverses: Vec<f32> = units.iter().map(|unit| unit.recip()).collect();
    for (i, row) in rows.iter().enumerate() {
        let at = i * width..(i + 1) * width;
        let pieces = high[at.clone()].iter_mut().zip(&mut low[at.clone()]).zip(&mut middle[at]);
        let columns = row.iter().zip(units.iter().zip(&inverses));
        for (((high, low), middle), (x, (unit, inverse))) in pieces.zip(columns) {
            let x = x * scale;
            *high = ((x * inverse + ROUND) - ROUND) * unit;
            *low = x - *high;
            *middle = *high + 0.5 * *low;
        }
    }
}
