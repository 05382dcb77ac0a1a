//! The product of a few columns with a few others over some rows: short sums in float32, added up
//! in float64.
//!
//! A general matrix product would write its float32 sums to memory and read them again every few
//! rows. Here they stay in registers until they are widened.

use crate::isa::{Instructions, Kernel};

/// Columns of a panel.
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

/// `out <- out + h^T h' + a^T l' + l^T a'`, where `x` holds the rows of one panel and `y` those of
/// another.
pub struct AddProducts<'a> {
    pub x: Panel<'a>,
    pub y: Panel<'a>,
    /// `[PANEL, PANEL]`, row-major with `stride` numbers from row to row.
    pub out: &'a mut [f64],
    pub stride: usize,
}

impl Kernel for AddProducts<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Instructions>(self, isa: I) {
        isa.add_products(self.x, self.y, self.out, self.stride);
    }
}

/// Rows `first..first + ROWS` of [`AddProducts`]. Products of leading bits are exact, so rounding
/// once or twice is the same for them.
#[inline(always)]
pub fn add_rows<I: Instructions, const ROWS: usize>(
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
fn sums<I: Instructions, const ROWS: usize>(
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::Isa;

    /// Every instruction set of this CPU gives what float64 gives, on whole numbers.
    #[test]
    fn panels_are_multiplied() {
        let values = |seed: usize| -> Vec<Row> {
            (0..7)
                .map(|k| std::array::from_fn(|i| ((k * 31 + i * 17 + seed) % 23) as f32))
                .collect()
        };
        let pieces: Vec<_> = (0..6).map(values).collect();
        let panel =
            |at: usize| Panel { high: &pieces[at], low: &pieces[at + 1], middle: &pieces[at + 2] };
        let (x, y) = (panel(0), panel(3));
        let stride = PANEL + 5;
        for isa in Isa::available() {
            let mut out = vec![1.0; PANEL * stride];
            isa.run(AddProducts { x, y, out: &mut out, stride });
            for i in 0..PANEL {
                for j in 0..PANEL {
                    let dot = |a: &[Row], b: &[Row]| -> f32 {
                        a.iter().zip(b).map(|(a, b)| a[i] * b[j]).sum()
                    };
                    let sum = dot(x.high, y.high) + dot(x.middle, y.low) + dot(x.low, y.middle);
                    assert_eq!(out[i * stride + j], 1.0 + f64::from(sum), "{isa:?}");
                }
            }
            assert_eq!(out[PANEL], 1.0);
        }
    }
}
