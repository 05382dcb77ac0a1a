//! Activations and softmax of rows, as loops that the compiler vectorises.

use crate::isa::{Instructions, Kernel};

/// The number of elements that a thread takes at a time.
pub(crate) const SHARE: usize = 1 << 14;

/// How many numbers are processed at a time: two registers of AVX-512, four of AVX2.
const LANES: usize = 32;

/// Adding this constant rounds a number below `2^22` to a whole number, held in the lowest bits.
const ROUND: f32 = 1.5 * (1 << 23) as f32;

/// `e^x`, to two units in the last place; NaN stays NaN, and below -87.3 it is `e^-87.3 = 1.2e-38`.
///
/// `x = n log 2 + r` with a whole `n`, and `e^r` by the polynomial of Cephes (Moshier, `expf.c`).
#[inline(always)]
pub(crate) fn exp<I: Instructions>(isa: I, x: f32) -> f32 {
    // Comparisons, unlike min and max, let NaN through.
    let x = if x < -87.3 { -87.3 } else { x };
    let x = if x > 88.3 { 88.3 } else { x };
    let shifted = isa.multiply_add(x, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    // log 2 in two parts, of which the first has exact products with n.
    let r = isa.multiply_add(n, -355.0 / 512.0, x);
    let r = isa.multiply_add(n, 2.121_944_4e-4, r);
    let p = isa.multiply_add(1.987_569_2e-4, r, 1.398_199_9e-3);
    let p = isa.multiply_add(p, r, 8.333_452e-3);
    let p = isa.multiply_add(p, r, 4.166_579_6e-2);
    let p = isa.multiply_add(p, r, 1.666_666_5e-1);
    let p = isa.multiply_add(p, r, 0.5);
    let p = isa.multiply_add(p, r * r, r) + 1.0;
    let power = (shifted.to_bits() << 23).wrapping_add(127 << 23);
    p * f32::from_bits(power)
}

/// `x / (1 + e^-x)`, in place.
pub(crate) struct Silu<'a>(pub &'a mut [f32]);

impl Kernel for Silu<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Instructions>(self, isa: I) {
        for x in self.0 {
            *x /= 1.0 + exp(isa, -*x);
        }
    }
}

/// `x (1 + tanh(u)) / 2 = x / (1 + e^-2u)`, with `u = sqrt(2 / pi) (x + 0.044715 x^3)`, in place.
pub(crate) struct GeluTanh<'a>(pub &'a mut [f32]);

impl Kernel for GeluTanh<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Instructions>(self, isa: I) {
        const TWICE: f32 = 2.0 * 0.797_884_6;
        for x in self.0 {
            let minus_twice_u = -TWICE * *x * isa.multiply_add(0.044_715 * *x, *x, 1.0);
            *x /= 1.0 + exp(isa, minus_twice_u);
        }
    }
}

/// `e^(scale (x - m)) / sum` of a row, in place, where `m` is the greatest number of the row. A NaN
/// or an infinity makes the whole row NaN.
pub(crate) struct Softmax<'a> {
    pub row: &'a mut [f32],
    pub scale: f32,
}

impl Kernel for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Instructions>(self, isa: I) {
        let Self { row, scale } = self;
        let greatest = greatest(row);
        let mut sums = [0.0; LANES];
        let (whole, rest) = row.as_chunks_mut::<LANES>();
        for chunk in whole {
            for (sum, x) in sums.iter_mut().zip(chunk) {
                *x = exp(isa, scale * (*x - greatest));
                *sum += *x;
            }
        }
        for (sum, x) in sums.iter_mut().zip(rest) {
            *x = exp(isa, scale * (*x - greatest));
            *sum += *x;
        }
        let factor = sums.iter().sum::<f32>().recip();
        row.iter_mut().for_each(|x| *x *= factor);
    }
}

/// The greatest number of a row; NaNs are ignored.
#[inline(always)]
pub(crate) fn greatest(row: &[f32]) -> f32 {
    let mut greatest = [f32::NEG_INFINITY; LANES];
    let (whole, rest) = row.as_chunks::<LANES>();
    for chunk in whole {
        for (greatest, x) in greatest.iter_mut().zip(chunk) {
            *greatest = if *x > *greatest { *x } else { *greatest };
        }
    }
    let all = greatest.iter().chain(rest);
    let mut greatest = f32::NEG_INFINITY;
    for x in all {
        greatest = if *x > greatest { *x } else { greatest };
    }
    greatest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::Isa;

    /// Inputs from underflow to overflow, in steps that hit no whole number.
    fn line() -> impl Iterator<Item = f32> {
        (-1300..1300).map(|i| i as f32 * 0.0931)
    }

    fn each(check: impl Fn(Isa)) {
        Isa::available().into_iter().for_each(check);
    }

    #[test]
    fn activations_are_those_of_float64() {
        type Found = fn(Isa, &mut [f32]);
        type Exact = fn(f64) -> f64;
        let cases: [(Found, Exact); 2] = [
            (|isa, x| isa.run(Silu(x)), |x| x / (1.0 + (-x).exp())),
            (
                |isa, x| isa.run(GeluTanh(x)),
                |x| {
                    let u = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
                    x / (1.0 + (-2.0 * u).exp())
                },
            ),
        ];
        each(|isa| {
            for (function, exact) in cases {
                let mut found: Vec<f32> = line().collect();
                function(isa, &mut found);
                for (x, found) in line().zip(found) {
                    let exact = exact(f64::from(x));
                    // Where the exponent is large, its rounding has a large effect.
                    let allowed = 3e-5 * exact.abs() + 1e-35;
                    let error = (f64::from(found) - exact).abs();
                    assert!(error <= allowed, "{x}: {found}, exactly {exact}");
                    let near = x.abs() > 3.0 || error <= 1e-6 * exact.abs();
                    assert!(near, "{x}: {found}, exactly {exact}");
                }
            }
        });
    }

    #[test]
    fn softmax_is_that_of_float64() {
        each(|isa| {
            for length in [1, 2, 31, 32, 33, 100, 257] {
                let scores: Vec<f32> =
                    (0..length).map(|i| ((i * 37) % 101) as f32 * 0.7 - 20.0).collect();
                let scale = 0.125;
                let weights: Vec<f64> =
                    scores.iter().map(|x| (f64::from(*x) * f64::from(scale)).exp()).collect();
                let total: f64 = weights.iter().sum();
                let mut found = scores;
                isa.run(Softmax { row: &mut found, scale });
                for (found, weight) in found.into_iter().zip(weights) {
                    let exact = weight / total;
                    assert!((f64::from(found) - exact).abs() <= 2e-6 * exact, "{length}");
                }
            }
        });
    }

    #[test]
    fn damage_is_not_hidden() {
        each(|isa| {
            for bad in [f32::NAN, f32::INFINITY] {
                let mut row = vec![0.5; 40];
                row[7] = bad;
                isa.run(Softmax { row: &mut row, scale: 1.0 });
                assert!(row.iter().all(|x| x.is_nan()), "{bad}: {row:?}");
            }
            let mut values = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
            isa.run(Silu(&mut values));
            assert!(values[0].is_nan());
            assert_eq!(values[1], f32::INFINITY);
            assert!(!values[2].is_finite(), "{values:?}");
        });
    }
}
