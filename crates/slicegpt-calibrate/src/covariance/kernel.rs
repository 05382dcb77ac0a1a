//! The product of a few columns with a few others over some rows: short sums in float32, added up in
//! float64.
//!
//! A general matrix product would write its float32 sums to memory and read them again every few
//! rows; here they stay in registers until they are widened. This is the one product of the
//! workspace that no library offers.

/// Columns of a panel.
pub const PANEL: usize = 16;

/// A row of a panel.
pub type Row = [f32; PANEL];

/// Some rows of `PANEL` columns, one row after the other, in three pieces: leading bits `h`, what is
/// left `l`, and `a = h + l / 2`.
#[derive(Clone, Copy)]
pub struct Panel<'a> {
    pub high: &'a [Row],
    pub low: &'a [Row],
    pub middle: &'a [Row],
}

/// Rows `first..first + ROWS` of `out <- out + h^T h' + a^T l' + l^T a'`, where `x` are the rows of
/// one panel and `x'` those of another: `[PANEL, PANEL]`, row-major with `stride` numbers from row to
/// row.
#[inline(always)]
pub fn rows<const ROWS: usize>(
    x: Panel<'_>,
    y: Panel<'_>,
    out: &mut [f64],
    stride: usize,
    first: usize,
    multiply_add: impl Fn(f32, f32, f32) -> f32 + Copy,
) {
    let zero = [[0.0; PANEL]; ROWS];
    let exact = sums::<ROWS>(zero, x.high, y.high, first, multiply_add);
    widen(&exact, out, stride, first);
    let rest = sums::<ROWS>(zero, x.middle, y.low, first, multiply_add);
    let rest = sums::<ROWS>(rest, x.low, y.middle, first, multiply_add);
    widen(&rest, out, stride, first);
}

/// Adds short sums to `out`.
#[inline(always)]
fn widen<const ROWS: usize>(
    sums: &[[f32; PANEL]; ROWS],
    out: &mut [f64],
    stride: usize,
    first: usize,
) {
    for i in 0..ROWS {
        let out = &mut out[(first + i) * stride..][..PANEL];
        for j in 0..PANEL {
            out[j] += f64::from(sums[i][j]);
        }
    }
}

/// Adds the products of columns `first..first + ROWS` of `x` with all columns of `y`.
#[inline(always)]
fn sums<const ROWS: usize>(
    mut sums: [[f32; PANEL]; ROWS],
    x: &[[f32; PANEL]],
    y: &[[f32; PANEL]],
    first: usize,
    multiply_add: impl Fn(f32, f32, f32) -> f32,
) -> [[f32; PANEL]; ROWS] {
    for (x, y) in x.iter().zip(y) {
        for i in 0..ROWS {
            for j in 0..PANEL {
                sums[i][j] = multiply_add(x[first + i], y[j], sums[i][j]);
            }
        }
    }
    sums
}
