//! Numbers of a few tokens split in two: leading bits whose products are exact, and the rest.

use super::panel::{PANEL, Row};
use crate::isa::{Instructions, Kernel};

/// Adding and then subtracting this constant rounds a float32 below `2^22` to a whole number.
const ROUND: f32 = 1.5 * (1 << 23) as f32;

/// Splits some rows, scaled, into leading bits `h`, the rest `l`, and `h + l / 2`.
pub struct Split<'a> {
    /// `[rows, width]`.
    pub rows: &'a [&'a [f32]],
    /// A power of two.
    pub scale: f32,
    /// The number of rows of a panel. The pieces are stored panel after panel.
    pub step: usize,
    pub high: &'a mut [Row],
    pub low: &'a mut [Row],
    pub middle: &'a mut [Row],
}

impl Kernel for Split<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Instructions>(self, _: I) {
        let Self { rows, scale, step, high, low, middle } = self;
        let width = rows[0].len();
        // First the squares of the lengths of the columns, then the units they give.
        let mut units = vec![0f32; width];
        for row in rows {
            for (sum, x) in units.iter_mut().zip(*row) {
                *sum += (x * scale) * (x * scale);
            }
        }
        for unit in &mut units {
            // Slightly more than 2^-12 of the length, to allow for the rounding of the leading bits
            // and of this sum. It is then rounded up to a power of two.
            let exact = (unit.sqrt() * (1.004 / 4096.0)).max(f32::MIN_POSITIVE);
            *unit = f32::from_bits((exact.to_bits() + 0x007f_ffff) & 0x7f80_0000);
        }
        let inverses: Vec<f32> = units.iter().map(|unit| unit.recip()).collect();
        for (k, row) in rows.iter().enumerate() {
            let factors = units.chunks(PANEL).zip(inverses.chunks(PANEL));
            for (panel, (xs, (units, inverses))) in row.chunks(PANEL).zip(factors).enumerate() {
                let at = panel * step + k;
                let (high, low, middle) = (&mut high[at], &mut low[at], &mut middle[at]);
                let factors = units.iter().zip(inverses);
                for (j, (x, (unit, inverse))) in xs.iter().zip(factors).enumerate() {
                    let x = x * scale;
                    high[j] = ((x * inverse + ROUND) - ROUND) * unit;
                    low[j] = x - high[j];
                    middle[j] = high[j] + 0.5 * low[j];
                }
            }
        }
    }
}
