//! [`Work`]: how many operations and bytes a kernel needs. It does not know how fast they are.

use std::ops::{Add, Mul};

use burn::tensor::Device;
use slicegpt_core::precise::{OperandPrecision, has_own_memory};

/// Operations (an addition or a multiplication each) of matrix products, and bytes moved.
///
/// Only what the algorithm needs is counted, without copies and without the cost of softmax and
/// norms.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Work {
    /// Operations in float32, on the device.
    pub float32: f64,
    /// Operations in float64, on the device.
    pub float64: f64,
    /// Operations in float64, on the host.
    pub host: f64,
    /// Bytes read and written on the device: inputs and outputs, once each.
    pub bytes: f64,
}

impl Work {
    /// Operations in float32.
    pub fn float32(float32: f64) -> Self {
        Self { float32, ..Self::default() }
    }

    /// Operations in float64, on the device.
    pub fn float64(float64: f64) -> Self {
        Self { float64, ..Self::default() }
    }

    /// Operations in float64, on the host.
    pub fn host(host: f64) -> Self {
        Self { host, ..Self::default() }
    }

    /// Bytes moved.
    pub fn bytes(bytes: f64) -> Self {
        Self { bytes, ..Self::default() }
    }

    /// All operations.
    pub fn operations(&self) -> f64 {
        self.float32 + self.float64 + self.host
    }
}

impl Add for Work {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            float32: self.float32 + other.float32,
            float64: self.float64 + other.float64,
            host: self.host + other.host,
            bytes: self.bytes + other.bytes,
        }
    }
}

impl Mul<f64> for Work {
    type Output = Self;

    fn mul(self, times: f64) -> Self {
        Self {
            float32: self.float32 * times,
            float64: self.float64 * times,
            host: self.host * times,
            bytes: self.bytes * times,
        }
    }
}

/// How a device computes products to double-precision accuracy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grade {
    /// On the CPU: in float64.
    Host,
    /// On an accelerator: as float32 products of pieces, more of them if it rounds operands.
    Pieces(OperandPrecision),
}

impl Grade {
    /// The way of `device`.
    pub fn of(device: &Device) -> Self {
        if has_own_memory(device) { Self::Pieces(OperandPrecision::of(device)) } else { Self::Host }
    }

    /// Whether float32 products round their operands, as those in TF32 do.
    pub fn rounds_operands(self) -> bool {
        matches!(self, Self::Pieces(OperandPrecision::Tf32))
    }

    /// `[m, k]` times `[k, n]`, as weights are edited.
    pub fn product(self, m: usize, k: usize, n: usize) -> Work {
        let once = product(m, k, n);
        match self {
            Self::Host => Work::host(once),
            Self::Pieces(OperandPrecision::Float32) => Work::float32(3.0 * once),
            Self::Pieces(OperandPrecision::Tf32) => Work::float32(12.0 * once),
        }
    }

    /// A covariance in the default arithmetic of the device.
    pub fn gram(self, tokens: usize, width: usize) -> Work {
        match self {
            Self::Host => Work::host(product(width, tokens, width) / 2.0),
            Self::Pieces(_) => self.split_gram(tokens, width),
        }
    }

    /// A covariance from float32 products of pieces.
    pub fn split_gram(self, tokens: usize, width: usize) -> Work {
        let products = match self {
            Self::Host => 1.5,
            Self::Pieces(OperandPrecision::Float32) => 4.0,
            Self::Pieces(OperandPrecision::Tf32) => 6.0,
        };
        Work::float32(products * product(width, tokens, width))
    }
}

/// Operations of `[m, k]` times `[k, n]`.
pub(crate) fn product(m: usize, k: usize, n: usize) -> f64 {
    2.0 * m as f64 * k as f64 * n as f64
}

/// Operations of a symmetric eigendecomposition with `vectors` vectors: the reduction to
/// tridiagonal form and the back transformation. The iteration between depends on the values and is
/// not counted.
pub(crate) fn eigen(width: usize, vectors: usize) -> f64 {
    let (d, vectors) = (width as f64, vectors as f64);
    4.0 / 3.0 * d.powi(3) + 2.0 * d * d * vectors
}
