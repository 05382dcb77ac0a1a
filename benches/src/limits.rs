//! [`Limits`]: the measured peak performance of a device. It knows nothing about the kernels.

use std::time::Instant;

use burn::tensor::{DType, Device, Distribution, Tensor};
use slicegpt_core::precise::has_own_memory;
use slicegpt_device::{OpenDevice, guard};

use crate::Work;
use crate::kernel::settle;

/// The best rates of several matrix products and copies on a device, per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Operations in float32 products.
    pub float32: f64,
    /// Operations in float64 products, if the device has float64.
    pub float64: Option<f64>,
    /// Operations in float64 products on the host.
    pub host: f64,
    /// Bytes read and written by element-wise operations.
    pub bytes: f64,
}

/// What limits the speed of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Matrix products: the kernel is compute-bound.
    Products,
    /// Moving bytes: the kernel is memory-bound.
    Bytes,
}

impl Bound {
    /// The name in a report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Products => "products",
            Self::Bytes => "bytes",
        }
    }
}

/// Products that take this many seconds are not enlarged, and shorter ones are repeated.
const LONG: f64 = 0.4;

const FEWEST: usize = 4;
const MOST: usize = 50;

/// The number of elements of a copy: more than any cache holds.
const LARGE: usize = 1 << 24;

impl Limits {
    /// Measures the limits of `device`.
    ///
    /// # Panics
    ///
    /// As Burn, if the device fails: see [`slicegpt_device::guard`].
    pub fn of(opened: &OpenDevice) -> Self {
        let device = &opened.device;
        let float64 = opened.info.float64.then(|| guard(|| products(device, DType::F64)).ok());
        let float64 = float64.flatten();
        // The CPU is the host: one measurement serves both, or they would differ by noise.
        let host = float64.filter(|_| !has_own_memory(device));
        Self {
            float32: products(device, DType::F32),
            float64,
            host: host.unwrap_or_else(|| products(&Device::flex(), DType::F64)),
            bytes: copies(device),
        }
    }

    /// The maximum of each rate, because other work may have disturbed either measurement.
    pub fn or(self, other: Self) -> Self {
        Self {
            float32: self.float32.max(other.float32),
            float64: self.float64.into_iter().chain(other.float64).reduce(f64::max),
            host: self.host.max(other.host),
            bytes: self.bytes.max(other.bytes),
        }
    }

    /// The minimum seconds that `work` takes at these limits, and the limit that binds.
    pub fn least_seconds(&self, work: &Work) -> (f64, Bound) {
        let float64 = self.float64.map_or(0.0, |limit| work.float64 / limit);
        let products = work.float32 / self.float32 + float64 + work.host / self.host;
        let bytes = work.bytes / self.bytes;
        if products >= bytes { (products, Bound::Products) } else { (bytes, Bound::Bytes) }
    }
}

/// The best rate of square products of growing size.
fn products(device: &Device, dtype: DType) -> f64 {
    let mut best = 0f64;
    for size in [256, 512, 1024, 2048, 4096, 8192] {
        let random = || {
            let normal = Distribution::Normal(0.0, 1.0);
            Tensor::<2>::random([size, size], normal, (device, DType::F32)).cast(dtype)
        };
        let (a, b) = (random(), random());
        let seconds = least(|| settle(&a.clone().matmul(b.clone())));
        best = best.max(2.0 * (size as f64).powi(3) / seconds);
        if seconds > LONG {
            break;
        }
    }
    best
}

/// The best rate of three element-wise operations: into new memory, in place, and on two tensors.
fn copies(device: &Device) -> f64 {
    let x = Tensor::<1>::ones([LARGE], (device, DType::F32));
    let y = x.clone().mul_scalar(2.0);
    let mut own = x.clone().mul_scalar(3.0);
    settle(&y);
    settle(&own);
    let fresh = least(|| settle(&x.clone().mul_scalar(2.0)));
    let place = least(|| {
        let taken = std::mem::replace(&mut own, y.clone());
        own = taken.mul_scalar(1.5);
        settle(&own);
    });
    let two = least(|| settle(&(x.clone() + y.clone())));
    let number = 4.0 * LARGE as f64;
    (2.0 * number / fresh).max(2.0 * number / place).max(3.0 * number / two)
}

/// The minimum seconds of several runs after a warm-up. Short work is run more often, so that on a
/// busy machine one run is undisturbed.
fn least(mut work: impl FnMut()) -> f64 {
    work();
    let began = Instant::now();
    let (mut runs, mut least) = (0, f64::INFINITY);
    while runs < FEWEST || (runs < MOST && began.elapsed().as_secs_f64() < LONG) {
        let start = Instant::now();
        work();
        least = start.elapsed().as_secs_f64().min(least);
        runs += 1;
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slower_of_products_and_bytes_binds() {
        let limits = Limits { float32: 100.0, float64: None, host: 10.0, bytes: 50.0 };
        let products = Work::float32(100.0) + Work::host(20.0) + Work::bytes(50.0);
        assert_eq!(limits.least_seconds(&products), (3.0, Bound::Products));
        let bytes = Work::float32(100.0) + Work::bytes(200.0);
        assert_eq!(limits.least_seconds(&bytes), (4.0, Bound::Bytes));
    }
}
