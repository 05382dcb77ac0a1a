//! The types in which weights are stored, and their exact conversion to float32, one by one and in
//! vectors.

use half::{bf16, f16};
#[cfg(target_arch = "x86_64")]
use pulp::{bytemuck::cast, f32x8, f32x16};

#[cfg(target_arch = "x86_64")]
use crate::isa::{Avx2, Avx512};

/// A type in which weights are stored.
pub(crate) trait Weight: Copy + Sync {
    /// The same number in float32.
    fn widen(self) -> f32;

    /// Eight weights, widened.
    #[cfg(target_arch = "x86_64")]
    fn widen_avx2(isa: Avx2, weights: &[Self; 8]) -> f32x8;

    /// Sixteen weights, widened.
    #[cfg(target_arch = "x86_64")]
    fn widen_avx512(isa: Avx512, weights: &[Self; 16]) -> f32x16;
}

impl Weight for f32 {
    #[inline(always)]
    fn widen(self) -> f32 {
        self
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn widen_avx2(_: Avx2, weights: &[f32; 8]) -> f32x8 {
        cast(*weights)
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn widen_avx512(_: Avx512, weights: &[f32; 16]) -> f32x16 {
        cast(*weights)
    }
}

impl Weight for f16 {
    #[inline(always)]
    fn widen(self) -> f32 {
        from_f16(self.to_bits())
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn widen_avx2(isa: Avx2, weights: &[f16; 8]) -> f32x8 {
        // The token of F16C, for which `pulp` has no functions.
        let _ = isa.f16c;
        let halves = cast(bits(weights));
        // SAFETY: `isa.f16c` is the proof that this CPU has F16C.
        let wide = unsafe { std::arch::x86_64::_mm256_cvtph_ps(halves) };
        cast(wide)
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn widen_avx512(isa: Avx512, weights: &[f16; 16]) -> f32x16 {
        cast(isa.avx512f._mm512_cvtph_ps(cast(bits(weights))))
    }
}

impl Weight for bf16 {
    #[inline(always)]
    fn widen(self) -> f32 {
        f32::from_bits(u32::from(self.to_bits()) << 16)
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn widen_avx2(isa: Avx2, weights: &[bf16; 8]) -> f32x8 {
        let wide = isa.avx2._mm256_cvtepu16_epi32(cast(bits(weights)));
        cast(isa.avx2._mm256_slli_epi32::<16>(wide))
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn widen_avx512(isa: Avx512, weights: &[bf16; 16]) -> f32x16 {
        let wide = isa.avx512f._mm512_cvtepu16_epi32(cast(bits(weights)));
        cast(isa.avx512f._mm512_slli_epi32::<16>(wide))
    }
}

/// The bits of numbers in half precision.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn bits<H: Copy, const N: usize>(halves: &[H; N]) -> [u16; N]
where
    [H]: half::slice::HalfFloatSliceExt,
{
    use half::slice::HalfFloatSliceExt;
    *halves.as_slice().reinterpret_cast().first_chunk().expect("as many bits as numbers")
}

/// A float16 from its bits, without branches, so that a loop over many is vectorised.
#[inline(always)]
fn from_f16(bits: u16) -> f32 {
    /// The difference of the exponents' biases in float16 and float32, and the least normal
    /// float16.
    const BIAS: u32 = (127 - 15) << 23;
    const LEAST: u32 = 113 << 23;
    /// The exponent of infinities and NaN, in float16 (shifted) and in float32.
    const SPECIAL: u32 = 0x1f << 23;
    const ALL: u32 = 0xff << 23;
    let bits = u32::from(bits);
    let number = (bits & 0x7fff) << 13;
    let sign = (bits & 0x8000) << 16;
    let normal = number + BIAS;
    let subnormal = (f32::from_bits(number + LEAST) - f32::from_bits(LEAST)).to_bits();
    let finite = if number < (1 << 23) { subnormal } else { normal };
    let magnitude = if number < SPECIAL { finite } else { number | ALL };
    f32::from_bits(magnitude | sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_precision_is_widened_exactly() {
        for bits in 0..=u16::MAX {
            let (f16, bf16) = (f16::from_bits(bits), bf16::from_bits(bits));
            if f16.is_nan() {
                assert!(f16.widen().is_nan(), "{bits:x}");
            } else {
                assert_eq!(f16.widen().to_bits(), f16.to_f32().to_bits(), "{bits:x}");
            }
            if !bf16.is_nan() {
                assert_eq!(bf16.widen().to_bits(), bf16.to_f32().to_bits(), "{bits:x}");
            }
        }
    }
}
