//! [`AddProducts`]: the products of two panels, as a kernel.

use super::panel::Panel;
use crate::isa::{Instructions, Kernel};

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::covariance::panel::{PANEL, Row};
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
