//! `x^T x` to double-precision accuracy from float32 products.
//!
//! Every number is split in two, `x = h + l`, where `h` holds the leading bits of `x`:
//!
//! ```text
//! x^T x = h^T h + a^T l + l^T a,    a = h + l / 2
//! ```
//!
//! The products of some rows are summed in float32, and these sums in float64. `h^T h` is exact:
//! column `j` of `h` is a multiple of `u_j`, a power of two of at least `|x_j| / 2^12`, so that by
//! Cauchy and Schwarz every sum of products is a whole number of `u_i u_j` below `2^24`. `l` is
//! `2^-9` of `x` or smaller, and the rounding errors of the other two products are smaller by the
//! same factor.

mod panel;
mod products;
mod split;
mod tiles;

use faer::Mat;
use rayon::prelude::*;

use crate::isa::Isa;
use panel::{PANEL, Row};
pub(crate) use panel::{Panel, add_rows};
use products::AddProducts;
use split::Split;
use tiles::for_each_lower;

/// The number of rows that are split, and then multiplied, at a time.
const CHUNK: usize = 1024;

/// The largest number of panels in each direction of a tile: its float64 sums stay in a core's
/// second-level cache.
const TILE: usize = 6;

/// The least number of tiles per thread, so that no thread waits long for another.
const TILES: usize = 5;

/// Scratch buffers for the pieces of some rows, reused from call to call. Rows are stored in small
/// groups, and each group panel after panel.
#[derive(Default)]
pub struct Scratch {
    high: Vec<Row>,
    low: Vec<Row>,
    middle: Vec<Row>,
}

/// Adds the outer products of `rows` to the lower triangle of `lower`, which is then the sum over
/// `tokens` rows. Returns `false`, and adds nothing, if a number is not finite.
///
/// # Shapes
/// - `lower`: `[width, width]`
/// - each row: `[width]`
#[must_use]
pub fn add(lower: &mut Mat<f64>, rows: &[&[f32]], tokens: u64, scratch: &mut Scratch) -> bool {
    let width = lower.nrows();
    let panels = width.div_ceil(PANEL);
    let scale = match scale(rows) {
        Scale::PowerOfTwo(scale) => scale,
        Scale::AllZero => return true,
        Scale::NotFinite => return false,
    };
    let step = rows_at_a_time(tokens, width);
    for rows in rows.chunks(CHUNK) {
        split(rows, scale, step, panels, scratch);
        let groups = rows.len().div_ceil(step);
        add_tiles(lower, scratch, Layout { groups, panels, step }, scale);
    }
    true
}

/// Splits `rows` into the pieces that [`add_tiles`] multiplies.
fn split(rows: &[&[f32]], scale: f32, step: usize, panels: usize, scratch: &mut Scratch) {
    let size = rows.len().div_ceil(step) * step * panels;
    let Scratch { high, low, middle } = scratch;
    for piece in [&mut *high, low, middle] {
        piece.resize(size, [0.0; PANEL]);
    }
    let isa = Isa::detect();
    let parts = high
        .par_chunks_mut(step * panels)
        .zip(low.par_chunks_mut(step * panels))
        .zip(middle.par_chunks_mut(step * panels));
    parts.zip(rows.par_chunks(step)).for_each(|(((high, low), middle), rows)| {
        if rows.len() < step {
            // Where this group has no rows, the buffers may hold those of an earlier call.
            for piece in [&mut *high, low, middle] {
                piece.fill([0.0; PANEL]);
            }
        }
        isa.run(Split { rows, scale, step, high, low, middle });
    });
}

/// How the pieces are laid out: groups of `step` rows, each panel after panel.
#[derive(Clone, Copy)]
struct Layout {
    groups: usize,
    panels: usize,
    step: usize,
}

/// Adds the products of the pieces to the lower triangle, tile by tile.
fn add_tiles(lower: &mut Mat<f64>, scratch: &Scratch, layout: Layout, scale: f32) {
    let Layout { groups, panels, step } = layout;
    let unscale = f64::from(scale).powi(-2);
    let across = panels_of_a_tile(panels);
    let isa = Isa::detect();
    let panel = |group: usize, panel: usize| {
        let at = (group * panels + panel) * step..(group * panels + panel + 1) * step;
        let Scratch { high, low, middle } = scratch;
        Panel { high: &high[at.clone()], low: &low[at.clone()], middle: &middle[at] }
    };
    for_each_lower(lower, across * PANEL, |row, column, mut tile| {
        let panels = |first: usize| first / PANEL..(first / PANEL + across).min(panels);
        // Column-major, like the tile.
        let stride = across * PANEL;
        let mut sum = vec![0f64; stride * stride];
        for group in 0..groups {
            for (i, x) in panels(column).enumerate() {
                // Panels above the diagonal are skipped.
                for (j, y) in panels(row).enumerate().filter(|(_, y)| x <= *y) {
                    let out = &mut sum[(i * stride + j) * PANEL..];
                    isa.run(AddProducts { x: panel(group, x), y: panel(group, y), out, stride });
                }
            }
        }
        for j in 0..tile.ncols() {
            let to = tile.as_mut().col_mut(j).try_as_col_major_mut();
            let to = to.expect("a `Mat` is column-major").as_slice_mut();
            let sums = &sum[j * stride..];
            to.iter_mut().zip(sums).for_each(|(to, sum)| *to += sum * unscale);
        }
    });
}

/// The number of panels in each direction of a tile. With `n` tiles in a row, the triangle has
/// `n (n + 1) / 2`.
fn panels_of_a_tile(panels: usize) -> usize {
    let in_a_row = (2 * TILES * rayon::current_num_threads()).isqrt();
    (panels / in_a_row).clamp(2, TILE)
}

/// The factor that rows are multiplied by before they are split.
enum Scale {
    /// This factor brings the largest magnitude to between 1/2 and 1.
    PowerOfTwo(f32),
    /// All numbers are zero: there is nothing to add.
    AllZero,
    /// A number is infinite or NaN.
    NotFinite,
}

fn scale(rows: &[&[f32]]) -> Scale {
    let largest = rows.par_iter().map(|row| {
        // The bits of magnitudes are ordered as the magnitudes are, infinity and NaN above all.
        let magnitude = |x: &f32| x.to_bits() & 0x7fff_ffff;
        row.iter().fold(0, |largest, x| largest.max(magnitude(x)))
    });
    let largest = f32::from_bits(largest.reduce(|| 0, u32::max));
    if !largest.is_finite() {
        return Scale::NotFinite;
    }
    if largest == 0.0 {
        return Scale::AllZero;
    }
    let exponent = (-largest.log2().floor() as i32 - 1).clamp(-126, 126);
    Scale::PowerOfTwo(2f32.powi(exponent))
}

/// How many rows are summed in float32 before their sum is added in float64. With fewer rows the
/// products of `l` are more precise. With fewer tokens their error is a larger part of the whole
/// sum. This is the largest number of rows whose error, measured on random tokens, stays below
/// `2^-34`.
fn rows_at_a_time(tokens: u64, width: usize) -> usize {
    let most = 18.0 * (tokens as f64 / width as f64).sqrt();
    (most as usize / 8 * 8).clamp(8, 128)
}
