//! The loop of [`super::dots`] in vector instructions of x86, spelled out: what a compiler makes of the plain
//! loop changes with what stands around it, by a factor of ten.

use std::arch::x86_64::*;

use half::{bf16, f16};

use super::dots::{from_bf16, from_f16};

/// Rows that share a weight while it is in a register.
const TOGETHER: usize = 4;

/// Sums kept of a row that is alone, and of each of several: enough to wait for none of them.
const ALONE: usize = 4;
const EACH: usize = 2;

/// Kernels for vectors of some width: how to make float32 of stored weights, and how to multiply and add.
macro_rules! kernels {
    (
        $name:ident, $features:literal, $vector:ty, $lanes:literal,
        $zero:ident, $load:ident, $store:ident, $multiply_add:ident, $add:ident,
        |$f16:ident| $from_f16:expr, |$bf16:ident| $from_bf16:expr
    ) => {
        pub mod $name {
            use super::*;

            /// [`super::super::dots::products`] of float32 weights.
            #[target_feature(enable = $features)]
            pub fn of_f32(weights: &[f32], x: &[f32], inputs: usize, out: &mut [f32]) {
                // SAFETY of this and the next two: `products` asks for as many as it has.
                products(weights, x, inputs, out, |at| unsafe { $load(at) }, |w| w);
            }

            /// The same of float16 weights.
            #[target_feature(enable = $features)]
            pub fn of_f16(weights: &[f16], x: &[f32], inputs: usize, out: &mut [f32]) {
                let wide = |$f16: *const f16| unsafe { $from_f16 };
                products(weights, x, inputs, out, wide, |w| from_f16(w.to_bits()));
            }

            /// The same of bfloat16 weights.
            #[target_feature(enable = $features)]
            pub fn of_bf16(weights: &[bf16], x: &[f32], inputs: usize, out: &mut [f32]) {
                let wide = |$bf16: *const bf16| unsafe { $from_bf16 };
                products(weights, x, inputs, out, wide, |w| from_bf16(w.to_bits()));
            }

            #[inline]
            #[target_feature(enable = $features)]
            fn products<W: Copy>(
                weights: &[W],
                x: &[f32],
                inputs: usize,
                out: &mut [f32],
                wide: impl Fn(*const W) -> $vector + Copy,
                widen: impl Fn(W) -> f32 + Copy,
            ) {
                let rows = x.len() / inputs;
                for (weights, out) in weights.chunks_exact(inputs).zip(out.chunks_exact_mut(rows)) {
                    let of_row = |row: usize| &x[row * inputs..(row + 1) * inputs];
                    let mut row = 0;
                    while row + TOGETHER <= rows {
                        let x: [&[f32]; TOGETHER] = std::array::from_fn(|r| of_row(row + r));
                        let sums = dots::<W, TOGETHER, EACH>(weights, x, wide, widen);
                        out[row..row + TOGETHER].copy_from_slice(&sums);
                        row += TOGETHER;
                    }
                    while row < rows {
                        let [sum] = dots::<W, 1, ALONE>(weights, [of_row(row)], wide, widen);
                        out[row] = sum;
                        row += 1;
                    }
                }
            }

            /// The products of one row of weights with some rows, each as long.
            #[inline]
            #[target_feature(enable = $features)]
            fn dots<W: Copy, const ROWS: usize, const SUMS: usize>(
                weights: &[W],
                x: [&[f32]; ROWS],
                wide: impl Fn(*const W) -> $vector,
                widen: impl Fn(W) -> f32,
            ) -> [f32; ROWS] {
                let length = weights.len();
                assert!(
                    x.iter().all(|x| x.len() == length),
                    "rows are as long as those of weights"
                );
                let mut sums = [[$zero(); SUMS]; ROWS];
                let mut start = 0;
                while start + SUMS * $lanes <= length {
                    for sum in 0..SUMS {
                        let at = start + sum * $lanes;
                        // SAFETY: `at + $lanes` is at most the length of all of them.
                        unsafe {
                            let weights = wide(weights.as_ptr().add(at));
                            for row in 0..ROWS {
                                let x = $load(x[row].as_ptr().add(at));
                                sums[row][sum] = $multiply_add(weights, x, sums[row][sum]);
                            }
                        }
                    }
                    start += SUMS * $lanes;
                }
                std::array::from_fn(|row| {
                    let mut lanes = [0.0f32; $lanes];
                    let mut total = sums[row][0];
                    for sum in &sums[row][1..] {
                        total = $add(total, *sum);
                    }
                    // SAFETY: there is room for a vector.
                    unsafe { $store(lanes.as_mut_ptr(), total) };
                    // Halves first: fewer roundings follow each other.
                    let mut half = $lanes / 2;
                    while half > 0 {
                        for lane in 0..half {
                            lanes[lane] += lanes[lane + half];
                        }
                        half /= 2;
                    }
                    let rest = weights[start..].iter().zip(&x[row][start..]);
                    lanes[0] + rest.map(|(w, x)| widen(*w) * x).sum::<f32>()
                })
            }
        }
    };
}

kernels!(
    avx512,
    "avx512f",
    __m512,
    16,
    _mm512_setzero_ps,
    _mm512_loadu_ps,
    _mm512_storeu_ps,
    _mm512_fmadd_ps,
    _mm512_add_ps,
    |at| _mm512_cvtph_ps(_mm256_loadu_si256(at.cast())),
    |at| _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(_mm256_loadu_si256(
        at.cast()
    ))))
);

kernels!(
    avx2,
    "avx2,fma,f16c",
    __m256,
    8,
    _mm256_setzero_ps,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    _mm256_fmadd_ps,
    _mm256_add_ps,
    |at| _mm256_cvtph_ps(_mm_loadu_si128(at.cast())),
    |at| _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(_mm_loadu_si128(
        at.cast()
    ))))
);
