//! The loops, compiled for the instructions of the processor this runs on.

use half::{bf16, f16};

use super::dots::{from_bf16, from_f16, products};
use super::kernels::{gelu_tanh, silu, softmax};

/// A function of each number by itself.
pub type Elementwise = fn(&mut [f32]);

/// Rows of weights times rows of numbers: see [`products`].
pub type Products<W> = fn(&[W], &[f32], usize, &mut [f32]);

/// The loops for a set of instructions.
#[derive(Clone, Copy)]
pub struct Simd {
    pub silu: Elementwise,
    pub gelu_tanh: Elementwise,
    /// Of a row, and the scale of its numbers.
    pub softmax: fn(&mut [f32], f32),
    pub products: Products<f32>,
    pub products_f16: Products<f16>,
    pub products_bf16: Products<bf16>,
}

impl Simd {
    /// The best there are for this processor.
    pub fn here() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") {
                return x86::AVX512;
            }
            if is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("fma")
                && is_x86_feature_detected!("f16c")
            {
                return x86::AVX2;
            }
        }
        if cfg!(target_feature = "neon") { FUSED } else { PLAIN }
    }
}

/// Weights as the checkpoint has them, to float32.
#[inline(always)]
fn same(weight: f32) -> f32 {
    weight
}

#[inline(always)]
fn wider(weight: f16) -> f32 {
    from_f16(weight.to_bits())
}

#[inline(always)]
fn longer(weight: bf16) -> f32 {
    from_bf16(weight.to_bits())
}

/// With an instruction that multiplies and adds, which the target is known to have.
const FUSED: Simd = Simd {
    silu: |values| silu(values, f32::mul_add),
    gelu_tanh: |values| gelu_tanh(values, f32::mul_add),
    softmax: |row, scale| softmax(row, scale, f32::mul_add),
    products: |w, x, inputs, out| products(w, x, inputs, out, same, f32::mul_add),
    products_f16: |w, x, inputs, out| products(w, x, inputs, out, wider, f32::mul_add),
    products_bf16: |w, x, inputs, out| products(w, x, inputs, out, longer, f32::mul_add),
};

/// Without.
const PLAIN: Simd = Simd {
    silu: |values| silu(values, |a, b, c| a * b + c),
    gelu_tanh: |values| gelu_tanh(values, |a, b, c| a * b + c),
    softmax: |row, scale| softmax(row, scale, |a, b, c| a * b + c),
    products: |w, x, inputs, out| products(w, x, inputs, out, same, |a, b, c| a * b + c),
    products_f16: |w, x, inputs, out| products(w, x, inputs, out, wider, |a, b, c| a * b + c),
    products_bf16: |w, x, inputs, out| products(w, x, inputs, out, longer, |a, b, c| a * b + c),
};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::*;
    use crate::host::vectors::{avx2, avx512};

    /// The loops with some instructions.
    macro_rules! compiled {
        ($name:ident, $features:literal, $vectors:ident) => {
            // SAFETY of the calls: `Simd::here` gives these away where the processor has them.
            pub const $name: Simd = {
                #[target_feature(enable = $features)]
                fn silu_here(values: &mut [f32]) {
                    silu(values, f32::mul_add);
                }
                #[target_feature(enable = $features)]
                fn gelu_tanh_here(values: &mut [f32]) {
                    gelu_tanh(values, f32::mul_add);
                }
                #[target_feature(enable = $features)]
                fn softmax_here(row: &mut [f32], scale: f32) {
                    softmax(row, scale, f32::mul_add);
                }
                Simd {
                    silu: |values| unsafe { silu_here(values) },
                    gelu_tanh: |values| unsafe { gelu_tanh_here(values) },
                    softmax: |row, scale| unsafe { softmax_here(row, scale) },
                    products: |w, x, n, out| unsafe { $vectors::of_f32(w, x, n, out) },
                    products_f16: |w, x, n, out| unsafe { $vectors::of_f16(w, x, n, out) },
                    products_bf16: |w, x, n, out| unsafe { $vectors::of_bf16(w, x, n, out) },
                }
            };
        };
    }

    compiled!(AVX512, "avx512f", avx512);
    compiled!(AVX2, "avx2,fma,f16c", avx2);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From where everything vanishes to where it overflows, in steps that hit no whole number.
    fn line() -> impl Iterator<Item = f32> {
        (-1300..1300).map(|i| i as f32 * 0.0931)
    }

    fn each(check: impl Fn(Simd)) {
        [Simd::here(), PLAIN, FUSED].into_iter().for_each(check);
    }

    #[test]
    fn activations_are_those_of_float64() {
        each(|simd| {
            type Exact = fn(f64) -> f64;
            let cases: [(Elementwise, Exact); 2] = [
                (simd.silu, |x| x / (1.0 + (-x).exp())),
                (simd.gelu_tanh, |x| {
                    let u = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
                    x / (1.0 + (-2.0 * u).exp())
                }),
            ];
            for (function, exact) in cases {
                let mut found: Vec<f32> = line().collect();
                function(&mut found);
                for (x, found) in line().zip(found) {
                    let exact = exact(f64::from(x));
                    // Where the exponent is large, so is what its rounding does.
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
        each(|simd| {
            for length in [1, 2, 31, 32, 33, 100, 257] {
                let scores: Vec<f32> =
                    (0..length).map(|i| ((i * 37) % 101) as f32 * 0.7 - 20.0).collect();
                let scale = 0.125;
                let weights: Vec<f64> =
                    scores.iter().map(|x| (f64::from(*x) * f64::from(scale)).exp()).collect();
                let total: f64 = weights.iter().sum();
                let mut found = scores;
                (simd.softmax)(&mut found, scale);
                for (found, weight) in found.into_iter().zip(weights) {
                    let exact = weight / total;
                    assert!((f64::from(found) - exact).abs() <= 2e-6 * exact, "{length}");
                }
            }
        });
    }

    #[test]
    fn damage_is_not_hidden() {
        each(|simd| {
            for bad in [f32::NAN, f32::INFINITY] {
                let mut row = vec![0.5; 40];
                row[7] = bad;
                (simd.softmax)(&mut row, 1.0);
                assert!(row.iter().all(|x| x.is_nan()), "{bad}: {row:?}");
            }
            let mut values = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
            (simd.silu)(&mut values);
            assert!(values[0].is_nan());
            assert_eq!(values[1], f32::INFINITY);
            assert!(!values[2].is_finite(), "{values:?}");
        });
    }
}
