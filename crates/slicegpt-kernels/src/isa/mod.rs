//! Instruction sets: which of them this CPU has, and kernels compiled for each.
//!
//! A kernel is a value that implements [`Kernel`]: its `run` is generic over [`Instructions`], is
//! always inlined, and so is compiled once for every set. [`Isa`] can only be made with a token of
//! `pulp`, which proves that the CPU has the instructions.

mod multiply_add;
#[cfg(target_arch = "x86_64")]
mod x86;

use crate::covariance::{Panel, add_rows};
use crate::gemv::portable;
use crate::weight::Weight;

pub(crate) use multiply_add::MultiplyAdd;

#[cfg(target_arch = "aarch64")]
use pulp::aarch64::Neon;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512};

/// An instruction set, with the proof that this CPU has it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Isa {
    /// What every CPU of the target has.
    Baseline(Baseline),
    /// Arm's 128-bit vectors.
    #[cfg(target_arch = "aarch64")]
    Neon(Neon),
    /// 256-bit vectors with FMA and F16C.
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    /// 512-bit vectors.
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
}

impl Isa {
    /// The best set that this CPU has.
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if let Some(isa) = Avx512::try_new() {
                return Self::Avx512(isa);
            }
            if let Some(isa) = Avx2::try_new() {
                return Self::Avx2(isa);
            }
        }
        #[cfg(target_arch = "aarch64")]
        if let Some(isa) = Neon::try_new() {
            return Self::Neon(isa);
        }
        Self::Baseline(Baseline)
    }

    /// Runs `kernel`, compiled for this set.
    #[inline(always)]
    pub fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self {
            Self::Baseline(isa) => kernel.run(isa),
            #[cfg(target_arch = "aarch64")]
            Self::Neon(isa) => isa.vectorize(Bound { kernel, isa }),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(isa) => isa.vectorize(Bound { kernel, isa }),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(isa) => isa.vectorize(Bound { kernel, isa }),
        }
    }

    /// All sets that this CPU has, to test each.
    #[cfg(test)]
    pub fn available() -> Vec<Self> {
        let mut all = vec![Self::Baseline(Baseline), Self::detect()];
        #[cfg(target_arch = "x86_64")]
        all.extend(Avx2::try_new().map(Self::Avx2));
        all
    }
}

/// Runs `kernel`, compiled for the best instruction set of this CPU.
#[inline(always)]
pub(crate) fn run<K: Kernel>(kernel: K) -> K::Output {
    Isa::detect().run(kernel)
}

/// A loop that is compiled for every instruction set.
pub(crate) trait Kernel {
    /// What it computes, if not in place.
    type Output;

    /// Runs it. Implementations are `#[inline(always)]`, and so is every function they call in
    /// their inner loops: a function that is not inlined is compiled for the baseline.
    fn run<I: Instructions>(self, isa: I) -> Self::Output;
}

/// The operations that an instruction set may implement itself. Everything else in a kernel is a
/// plain loop, left to the compiler.
pub(crate) trait Instructions: MultiplyAdd {
    /// `out[o][r] = sum_i weights[o][i] x[r][i]`: see [`crate::gemv`].
    #[inline(always)]
    fn gemv<W: Weight>(self, weights: &[W], x: &[f32], inputs: usize, out: &mut [f32]) {
        portable::gemv(self, weights, x, inputs, out);
    }

    /// Adds the products of two panels to `out`: see [`add_rows`].
    #[inline(always)]
    fn add_products(self, x: Panel<'_>, y: Panel<'_>, out: &mut [f64], stride: usize) {
        for first in [0, 4, 8, 12] {
            add_rows::<_, 4>(self, x, y, out, stride, first);
        }
    }
}

/// The instructions that every CPU of the target has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Baseline;

impl MultiplyAdd for Baseline {
    #[inline(always)]
    fn multiply_add(self, a: f32, b: f32, c: f32) -> f32 {
        a * b + c
    }
}

impl Instructions for Baseline {}

#[cfg(target_arch = "aarch64")]
impl MultiplyAdd for Neon {
    #[inline(always)]
    fn multiply_add(self, a: f32, b: f32, c: f32) -> f32 {
        f32::mul_add(a, b, c)
    }
}

#[cfg(target_arch = "aarch64")]
impl Instructions for Neon {}

/// A kernel and the set it is to be compiled for, as `pulp` takes it. A closure would do the same,
/// but cannot be marked as always inlined.
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
struct Bound<K, I> {
    kernel: K,
    isa: I,
}

#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
impl<K: Kernel, I: Instructions> pulp::NullaryFnOnce for Bound<K, I> {
    type Output = K::Output;

    #[inline(always)]
    fn call(self) -> K::Output {
        self.kernel.run(self.isa)
    }
}
