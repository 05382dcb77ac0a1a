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

use faer::Mat;
use rayon::prelude::*;

use super::kernel::{PANEL, Panel, Row};
use super::simd::Simd;
use super::tiles::for_each_lower;
use crate::error::NotFinite;

/// Rows cut before they are multiplied.
const CHUNK: usize = 1024;

/// Panels of a tile, in each direction, at most: its sums in float64 stay in a core's second cache.
const TILE: usize = 6;

/// Tiles a core should have, at least, so that none waits long for another.
const TILES: usize = 5;

/// Memory for the pieces of some rows, panel after panel within every few rows.
#[derive(Default)]
pub struct Pieces {
    high: Vec<Row>,
    low: Vec<Row>,
    middle: Vec<Row>,
}

/// Adds the outer products of `rows` to the lower triangle; with them it is the sum over `tokens`.
///
/// # Errors
///
/// If a value is not finite.
pub fn add(
    lower: &mut Mat<f64>,
    rows: &[&[f32]],
    tokens: u64,
    pieces: &mut Pieces,
) -> Result<(), NotFinite> {
    let width = lower.nrows();
    let panels = width.div_ceil(PANEL);
    let Some(scale) = scale(rows)? else { return Ok(()) };
    let unscale = f64::from(scale).powi(-2);
    let step = rows_at_a_time(tokens, width);
    let across = tile(panels);
    let simd = Simd::here();
    for rows in rows.chunks(CHUNK) {
        let groups = rows.len().div_ceil(step);
        let Pieces { high, low, middle } = pieces;
        for piece in [&mut *high, low, middle] {
            piece.resize(groups * step * panels, [0.0; PANEL]);
        }
        let [high, low, middle] = [high, low, middle].map(|x| &mut x[..groups * step * panels]);
        let parts = high
            .par_chunks_mut(step * panels)
            .zip(low.par_chunks_mut(step * panels))
            .zip(middle.par_chunks_mut(step * panels));
        parts.zip(rows.par_chunks(step)).for_each(|(((high, low), middle), rows)| {
            // Rows of an earlier use may stand where this group has none.
            for piece in [&mut *high, low, middle] {
                if rows.len() < step {
                    piece.fill([0.0; PANEL]);
                }
            }
            (simd.cut)(rows, scale, step, [high, low, middle]);
        });
        let (high, low, middle) = (&*high, &*low, &*middle);
        let panel = |group: usize, panel: usize| {
            let at = (group * panels + panel) * step..(group * panels + panel + 1) * step;
            Panel { high: &high[at.clone()], low: &low[at.clone()], middle: &middle[at] }
        };
        for_each_lower(lower, across * PANEL, |row, column, mut tile| {
            let panels = |first: usize| first / PANEL..(first / PANEL + across).min(panels);
            // Columns first, so that it is laid out as the tile is.
            let stride = across * PANEL;
            let mut sum = vec![0f64; stride * stride];
            for group in 0..groups {
                for (i, x) in panels(column).enumerate() {
                    // Above the diagonal nothing is asked for.
                    for (j, y) in panels(row).enumerate().filter(|(_, y)| x <= *y) {
                        let sum = &mut sum[(i * stride + j) * PANEL..];
                        (simd.product)(panel(group, x), panel(group, y), sum, stride);
                    }
                }
            }
            for j in 0..tile.ncols() {
                let to = tile.as_mut().col_mut(j).try_as_col_major_mut();
                let to = to.expect("a matrix of its own is column-major").as_slice_mut();
                let sums = &sum[j * stride..];
                to.iter_mut().zip(sums).for_each(|(to, sum)| *to += sum * unscale);
            }
        });
    }
    Ok(())
}

/// Panels of a tile, of which the lower triangle has `n (n + 1) / 2` if there are `n` in a row.
fn tile(panels: usize) -> usize {
    let in_a_row = (2 * TILES * rayon::current_num_threads()).isqrt();
    (panels / in_a_row).clamp(2, TILE)
}

/// The power of two that brings the largest magnitude to between 1/2 and 1; nothing where all is
/// zero.
fn scale(rows: &[&[f32]]) -> Result<Option<f32>, NotFinite> {
    let largest = rows.par_iter().map(|row| {
        // Bits of magnitudes are in the order of the magnitudes, infinity and NaN above all.
        let magnitude = |x: &f32| x.to_bits() & 0x7fff_ffff;
        row.iter().fold(0, |largest, x| largest.max(magnitude(x)))
    });
    let largest = f32::from_bits(largest.reduce(|| 0, u32::max));
    if !largest.is_finite() {
        return Err(NotFinite);
    }
    let exponent = (-largest.log2().floor() as i32 - 1).clamp(-126, 126);
    Ok((largest > 0.0).then(|| 2f32.powi(exponent)))
}

/// How many rows are summed in float32 before their sum goes into float64. What `l` brings is the
/// more precise the fewer there are, and the less precise in relation to the whole the fewer tokens
/// there are in all: measured on random tokens, the most that stays below 2^-34.
fn rows_at_a_time(tokens: u64, width: usize) -> usize {
    let most = 18.0 * (tokens as f64 / width as f64).sqrt();
    (most as usize / 8 * 8).clamp(8, 128)
}
