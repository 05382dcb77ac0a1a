//! Matrix products to double-precision accuracy on any device.
//!
//! "PCA in single precision ruins Llama" (SliceGPT, table 4), and rotated weights are computed in
//! float64 too (section 3.4). A CPU has float64; WebGPU does not, and consumer GPUs run it at 1/64
//! of the speed of float32. There the same accuracy comes from float32 products: every operand is
//! split into small integers on a power-of-two grid and a remainder ([`Split`]). Products of the
//! integers are exact in float32, whatever the order of summation; the remainder is so small that
//! ordinary rounding of its products does not matter. This is the scheme of Ozaki, Ogita, Oishi and
//! Rump (Numerical Algorithms 59, 2012), in base 2^8 and 2^9. The integers are exact in bfloat16
//! and TF32 too, so that matrix units which round their operands change nothing.
//!
//! Start with [`PreciseMatrix`], with [`product`] for a single product, or with [`Total`] for the
//! sum of many.

mod known;
mod matrix;
mod split;
mod total;
mod units;

pub use matrix::PreciseMatrix;
pub use split::{OperandPrecision, ROWS, Split};
pub use total::{Read, Total};

use burn::tensor::{DType, Device, Tensor};
use known::Known;

/// Whether `device` is an accelerator with memory of its own: a GPU, or a software rasteriser.
///
/// Burn's CPU backends have no memory pool to report on. There float64 is available and fast, and
/// reading a tensor on the host costs nothing. On an accelerator float64 is missing or slow.
pub fn has_own_memory(device: &Device) -> bool {
    static KNOWN: Known<bool> = Known::new();
    KNOWN.of(device, || {
        // LibTorch reports no allocator for any device. Unless the backend is compiled in, its
        // devices can be recognised by their names only.
        let name = format!("{device:?}");
        let libtorch_accelerator = name.contains("LibTorch") && !name.contains("Cpu");
        device.memory_pool_usage().is_some() || libtorch_accelerator
    })
}

/// `tensor` in the most precise type that its device computes in at full speed: float64 on the CPU,
/// float32 on an accelerator. Sums and differences are taken in it. Float32 is enough there,
/// because the mean of float32 numbers is as accurate in float32 as its terms are.
pub fn widen<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    let dtype = if has_own_memory(&tensor.device()) { DType::F32 } else { DType::F64 };
    tensor.cast(dtype)
}

/// `A B` to double-precision accuracy: in float64 on the CPU, and from split float32 operands on an
/// accelerator (see [`Split::product`]). The result has that type.
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
    let split = |x| Split::new(x, precision);
    split(a.transpose()).product(&split(b))
}
