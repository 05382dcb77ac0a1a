//! AVX2 and AVX-512: vectors of float32, and stored weights widened to them.

use pulp::x86::V3;
pub(crate) use pulp::x86::V4 as Avx512;

use super::{Instructions, MultiplyAdd};
use crate::covariance::{Panel, add_rows};
use crate::gemv::vectors::{self, Vectors};
use crate::weight::Weight;

pulp::simd_type! {
    /// [`V3`], which is AVX2 and FMA, with the conversion of float16, which it lacks.
    pub(crate) struct Avx2 {
        pub sse: "sse",
        pub sse2: "sse2",
        pub fxsr: "fxsr",
        pub sse3: "sse3",
        pub ssse3: "ssse3",
        pub sse4_1: "sse4.1",
        pub sse4_2: "sse4.2",
        pub popcnt: "popcnt",
        pub avx: "avx",
        pub avx2: "avx2",
        pub bmi1: "bmi1",
        pub bmi2: "bmi2",
        pub fma: "fma",
        pub lzcnt: "lzcnt",
        pub f16c: "f16c",
    }
}

impl MultiplyAdd for Avx2 {
    #[inline(always)]
    fn multiply_add(self, a: f32, b: f32, c: f32) -> f32 {
        f32::mul_add(a, b, c)
    }
}

impl Instructions for Avx2 {
    #[inline(always)]
    fn gemv<W: Weight>(self, weights: &[W], x: &[f32], inputs: usize, out: &mut [f32]) {
        vectors::gemv(self, weights, x, inputs, out);
    }

    #[inline(always)]
    fn add_products(self, x: Panel<'_>, y: Panel<'_>, out: &mut [f64], stride: usize) {
        // Six, six and four rows, which need twelve, twelve and eight registers for their sums.
        add_rows::<_, 6>(self, x, y, out, stride, 0);
        add_rows::<_, 6>(self, x, y, out, stride, 6);
        add_rows::<_, 4>(self, x, y, out, stride, 12);
    }
}

impl Vectors for Avx2 {
    type Simd = V3;

    #[inline(always)]
    fn simd(self) -> V3 {
        V3 {
            sse: self.sse,
            sse2: self.sse2,
            fxsr: self.fxsr,
            sse3: self.sse3,
            ssse3: self.ssse3,
            sse4_1: self.sse4_1,
            sse4_2: self.sse4_2,
            popcnt: self.popcnt,
            avx: self.avx,
            avx2: self.avx2,
            bmi1: self.bmi1,
            bmi2: self.bmi2,
            fma: self.fma,
            lzcnt: self.lzcnt,
        }
    }

    #[inline(always)]
    fn widen<W: Weight>(self, weights: &[W]) -> pulp::f32x8 {
        W::widen_avx2(self, weights.first_chunk().expect("a vector of weights"))
    }
}

impl MultiplyAdd for Avx512 {
    #[inline(always)]
    fn multiply_add(self, a: f32, b: f32, c: f32) -> f32 {
        f32::mul_add(a, b, c)
    }
}

impl Instructions for Avx512 {
    #[inline(always)]
    fn gemv<W: Weight>(self, weights: &[W], x: &[f32], inputs: usize, out: &mut [f32]) {
        vectors::gemv(self, weights, x, inputs, out);
    }

    #[inline(always)]
    fn add_products(self, x: Panel<'_>, y: Panel<'_>, out: &mut [f64], stride: usize) {
        add_rows::<_, 8>(self, x, y, out, stride, 0);
        add_rows::<_, 8>(self, x, y, out, stride, 8);
    }
}

impl Vectors for Avx512 {
    type Simd = Self;

    #[inline(always)]
    fn simd(self) -> Self {
        self
    }

    #[inline(always)]
    fn widen<W: Weight>(self, weights: &[W]) -> pulp::f32x16 {
        W::widen_avx512(self, weights.first_chunk().expect("a vector of weights"))
    }
}
