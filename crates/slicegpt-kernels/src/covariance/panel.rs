//! The product of a few columns with a few others over some rows: short sums in float32, added up
//! in float64.
//!
//! A general matrix product would write its float32 sums to memory and read them again every few
//! rows. Here they stay in registers until they are widened.

use crate::isa::MultiplyAdd;

/// The number of columns of a panel.
pub const PANEL: usize = 16;

/// A row of a panel.
pub type Row = [f32; PANEL];

/// Some rows of `PANEL` columns, row-major, in three pieces: leading bits `h`, the rest `l`, and
/// `a = h + l / 2`.
#[derive(Clone, Copy)]
pub struct Panel<'a> {
    pub high: &'a [Row],
    pub low: &'a [Row],
    pub middle: &'a [Row],
}

/// Rows `first..first + ROWS` of the products of two panels. Products of leading bits are exact, so
/// it does not matter whether a multiply-add rounds once or twice.
#[inline(always)]
pub fn add_rows<I: MultiplyAdd, const ROWS: usize>(
    isa: I,
    x: Panel<'_>,
    y: Panel<'_>,
    out: &mut [f64],
    stride: usize,
    first: usize,
) {
    let zero = [[0.0; PANEL]; ROWS];
    let exact = sums::<I, ROWS>(isa, zero, x.high, y.high, first);
    add_widened(&exact, out, stride, first);
    let rest = sums::<I, ROWS>(isa, zero, x.middle, y.low, first);
    let rest = sums::<I, ROWS>(isa, rest, x.low, y.middle, first);
    add_widened(&rest, out, stride, first);
}

/// Adds short sums to `out`.
#[inline(always)]
fn add_widened<const ROWS: usize>(
    sums: &[Row; ROWS],
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
fn sums<I: MultiplyAdd, const ROWS: usize>(
    isa: I,
    mut sums: [Row; ROWS],
    x: &[Row],
    y: &[Row],
    first: usize,
) -> [Row; ROWS] {
    for (x, y) in x.iter().zip(y) {
        for i in 0..ROWS {
            for j in 0..PANEL {
                sums[i][j] = isa.multiply_add(x[first + i], y[j], sums[i][j]);
            }
        }
    }
    sums
}
