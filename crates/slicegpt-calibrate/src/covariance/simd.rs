//! The two inner loops, compiled for the instructions of the processor this runs on.

use super::cut::cut;
use super::kernel::{Panel, Row, rows};

/// [`cut`], compiled for some instructions.
pub type Cut = fn(&[&[f32]], f32, usize, [&mut [Row]; 3]);

/// The inner loops for a set of instructions.
#[derive(Clone, Copy)]
pub struct Simd {
    /// Cuts tokens: see [`cut`].
    pub cut: Cut,
    /// Multiplies two panels: see [`rows`].
    pub product: fn(Panel<'_>, Panel<'_>, &mut [f64], usize),
}

impl Simd {
    /// The best there are for this processor.
    pub fn here() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") {
                return x86::AVX512;
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                return x86::AVX2;
            }
        }
        if cfg!(target_feature = "neon") { FUSED } else { PLAIN }
    }
}

/// With an instruction that multiplies and adds, which the target is known to have.
const FUSED: Simd = Simd {
    cut,
    product: |x, y, out, stride| {
        for first in [0, 4, 8, 12] {
            rows::<4>(x, y, out, stride, first, f32::mul_add);
        }
    },
};

/// Without: products of leading bits are exact, so that rounding once or twice is the same.
const PLAIN: Simd = Simd {
    cut,
    product: |x, y, out, stride| {
        for first in [0, 4, 8, 12] {
            rows::<4>(x, y, out, stride, first, |a, b, sum| a * b + sum);
        }
    },
};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::*;

    // SAFETY of the calls: `Simd::here` gives these away where the processor has the instructions.
    pub const AVX512: Simd = Simd {
        cut: |rows, scale, step, pieces| unsafe { cut_avx512(rows, scale, step, pieces) },
        product: |x, y, out, stride| unsafe { product_avx512(x, y, out, stride) },
    };
    pub const AVX2: Simd = Simd {
        cut: |rows, scale, step, pieces| unsafe { cut_avx2(rows, scale, step, pieces) },
        product: |x, y, out, stride| unsafe { product_avx2(x, y, out, stride) },
    };

    #[target_feature(enable = "avx512f")]
    fn cut_avx512(rows: &[&[f32]], scale: f32, step: usize, pieces: [&mut [Row]; 3]) {
        cut(rows, scale, step, pieces);
    }

    #[target_feature(enable = "avx2,fma")]
    fn cut_avx2(rows: &[&[f32]], scale: f32, step: usize, pieces: [&mut [Row]; 3]) {
        cut(rows, scale, step, pieces);
    }

    #[target_feature(enable = "avx512f")]
    fn product_avx512(x: Panel<'_>, y: Panel<'_>, out: &mut [f64], stride: usize) {
        rows::<8>(x, y, out, stride, 0, f32::mul_add);
        rows::<8>(x, y, out, stride, 8, f32::mul_add);
    }

    #[target_feature(enable = "avx2,fma")]
    fn product_avx2(x: Panel<'_>, y: Panel<'_>, out: &mut [f64], stride: usize) {
        // Twelve registers of sums, twelve, and eight.
        rows::<6>(x, y, out, stride, 0, f32::mul_add);
        rows::<6>(x, y, out, stride, 6, f32::mul_add);
        rows::<4>(x, y, out, stride, 12, f32::mul_add);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::covariance::kernel::PANEL;

    /// All kernels of this processor give what float64 gives, on whole numbers.
    #[test]
    fn kernels_multiply() {
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
        for product in [Simd::here().product, PLAIN.product, FUSED.product] {
            let mut out = vec![1.0; PANEL * stride];
            product(x, y, &mut out, stride);
            for i in 0..PANEL {
                for j in 0..PANEL {
                    let dot = |a: &[Row], b: &[Row]| -> f32 {
                        a.iter().zip(b).map(|(a, b)| a[i] * b[j]).sum()
                    };
                    let sum = dot(x.high, y.high) + dot(x.middle, y.low) + dot(x.low, y.middle);
                    assert_eq!(out[i * stride + j], 1.0 + f64::from(sum));
                }
            }
            assert_eq!(out[PANEL], 1.0);
        }
    }
}
