//! Products of float64 grade on any device.
//!
//! "PCA in single precision ruins Llama" (SliceGPT, table 4), and rotated weights are computed in
//! float64 too (section 3.4). A processor has float64; WebGPU has none, and consumer GPUs have it at
//! 1/64 of the speed. There the same digits come from float32 products: every operand is cut into
//! small whole numbers on a power-of-two grid and a rest ([`Split`]). Products of the whole numbers
//! are exact in float32, however they are added up; what is left is small enough for ordinary
//! rounding not to matter. This is the scheme of Ozaki, Ogita, Oishi and Rump (Numerical Algorithms
//! 59, 2012), in base 2^8 and 2^9 and with whole numbers that bfloat16 and TF32 hold too, so that
//! matrix units which round their operands change nothing.

mod known;
mod matrix;
mod split;

pub use matrix::PreciseMatrix;
pub use split::{CHUNK, Gram, LOW, OperandPrecision, Split, Sums};

use burn::tensor::{DType, Device, Tensor};
use known::Known;

/// Whether `device` computes in memory of its own: a GPU, or a program that stands in for one.
///
/// Burn's processor backend has no allocator to report on. On such a device float64 is there and
/// fast, and a tensor on the host costs nothing; on any other, float64 is missing or slow.
pub fn has_own_memory(device: &Device) -> bool {
    static KNOWN: Known<bool> = Known::new();
    KNOWN.of(device, || device.memory_pool_usage().is_some())
}

/// The most precise type that `device` computes in at full speed: what sums and differences are
/// taken in. A mean over float32 numbers is in float32 as good as its terms.
pub fn widen<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    match has_own_memory(&tensor.device()) {
        true => tensor.cast(DType::F32),
        false => tensor.cast(DType::F64),
    }
}

/// `A B` at float64 grade: in float64 where the device is the processor, else in float32 from the
/// pieces of both: see [`Split::product`].
///
/// # Panics
///
/// If a value is not finite, on a device that is not the processor.
///
/// # Shapes
/// - `a`: `[m, k]`
/// - `b`: `[k, n]`
/// - output: `[m, n]`
pub fn product(a: Tensor<2>, b: Tensor<2>) -> Tensor<2> {
    let device = a.device();
    if !has_own_memory(&device) {
        return a.cast(DType::F64).matmul(b.cast(DType::F64));
    }
    let precision = OperandPrecision::of(&device);
    let split = |x| Split::new(x, precision).expect("weights are read as finite numbers");
    split(a.transpose()).product(&split(b))
}
