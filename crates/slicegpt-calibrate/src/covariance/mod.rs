//! [`Covariance`]: the sum of outer products of a signal, to double-precision accuracy.

mod device;
mod float64;

pub(crate) use device::zero_padding;
pub(crate) use float64::add_outer;

use burn::tensor::{DType, Device, Tensor, TensorData};
use faer::{Mat, MatRef};
use slicegpt_core::host_vec;
use slicegpt_core::precise::has_own_memory;
use slicegpt_kernels::covariance as split_float32;

use crate::error::NotFinite;
use crate::sum::Sum;

/// `H = sum over kept tokens of x^T x`, un-normalised and uncentred, `[width, width]`. Only the
/// lower triangle is computed.
///
/// The sum of signals on an accelerator stays there until it is asked for.
pub struct Covariance {
    /// Undefined above the diagonal.
    lower: Sum,
    arithmetic: Arithmetic,
    tokens: u64,
    finite: bool,
    /// Scratch buffers.
    wide: Vec<f64>,
    pieces: split_float32::Scratch,
}

/// How the products of a covariance are computed.
///
/// Plain single precision ruins Llama (SliceGPT, table 4). Both variants give the sum to
/// double-precision accuracy. With `D` the width, `n` the number of tokens added at a time, and
/// independent random rounding errors, the error in the Frobenius norm, relative to the sum, is at
/// most:
///
/// | | where | expected error | matrix products of `n D^2` multiplications |
/// |---|---|---|---|
/// | `Float64` | host | `2^-53 sqrt(D)` | 1/2 in float64 |
/// | `SplitFloat32` | host | `2^-34` | 3/2 in float32 |
/// | `SplitFloat32` | accelerator | `2^-41 sqrt(D)` | 4 in float32 (8 if operands are rounded) |
///
/// If every rounding error has the same sign, it is at most `2^-23 sqrt(D)` for `SplitFloat32` on
/// the host and `2^-27 sqrt(D)` on an accelerator (`n 2^-53 sqrt(D)` for `Float64`). The expected
/// values were measured on independent random tokens, which are the worst case; the error is
/// smaller if few directions carry most of the energy. Tests require 1e-10 on every kind of data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// In float64 on the host, wherever the signal is.
    Float64,
    /// In float32 on the device of the signal, from operands that are split into pieces whose
    /// products are exact or nearly so.
    SplitFloat32,
}

impl Arithmetic {
    /// The fastest variant on `device`. A CPU computes in float64 at half the speed of float32; on
    /// an accelerator float64 is missing, or slower than the products that replace it.
    pub fn of(device: &Device) -> Self {
        if has_own_memory(device) { Self::SplitFloat32 } else { Self::Float64 }
    }
}

/// Row-major values, `[n, width]`, on `device` as one sequence.
pub(crate) fn rows_on(rows: Vec<f32>, width: usize, device: &Device) -> Tensor<3> {
    let shape = [1, rows.len() / width, width];
    Tensor::from_data(TensorData::new(rows, shape), (device, DType::F32))
}

impl Covariance {
    /// An empty sum, for signals of `width`.
    pub fn new(width: usize, arithmetic: Arithmetic) -> Self {
        Self {
            lower: Sum::new(width, width),
            arithmetic,
            tokens: 0,
            finite: true,
            wide: Vec::new(),
            pieces: split_float32::Scratch::default(),
        }
    }

    /// A sum over `tokens` tokens from its values, row-major, `[width, width]`, of which the lower
    /// triangle is read. The inverse of [`Covariance::values`].
    ///
    /// # Panics
    ///
    /// If the number of values is not `width * width`.
    pub fn from_values(values: &[f64], width: usize, tokens: u64, arithmetic: Arithmetic) -> Self {
        assert_eq!(values.len(), width * width, "a covariance is square");
        let lower = Mat::from_fn(width, width, |i, j| values[i.max(j) * width + i.min(j)]);
        Self { lower: Sum::from_host(lower), tokens, ..Self::new(width, arithmetic) }
    }

    /// The sum, row-major, `[width, width]`, with both triangles.
    ///
    /// # Errors
    ///
    /// As [`Covariance::lower`].
    pub fn values(&self) -> Result<Vec<f64>, NotFinite> {
        let lower = self.lower()?;
        let width = lower.nrows();
        let at = (0..width).flat_map(|i| (0..width).map(move |j| (i.max(j), i.min(j))));
        Ok(at.map(|at| lower[at]).collect())
    }

    /// Adds a signal, `[batch, tokens, width]`, of any float type, without the tokens for which
    /// `keep` (row-major, `[batch, tokens]`) is false.
    ///
    /// A number that is not finite makes the sum fail: see [`Covariance::lower`].
    ///
    /// # Panics
    ///
    /// If the width differs from that of the covariance, or `keep` does not have one entry per
    /// token.
    pub fn add(&mut self, signal: Tensor<3>, keep: Option<&[bool]>) {
        let [batch, tokens, width] = signal.dims();
        assert_eq!(width, self.width(), "one covariance, one width");
        if let Some(keep) = keep {
            assert_eq!(keep.len(), batch * tokens, "one flag per token");
        }
        let kept = keep.map_or(batch * tokens, |keep| keep.iter().filter(|keep| **keep).count());
        self.tokens += kept as u64;
        let own_memory = has_own_memory(&signal.device());
        if self.arithmetic == Arithmetic::SplitFloat32 && own_memory {
            let rows = signal.reshape([batch * tokens, width]);
            device::add(self.lower.on_device(), rows, keep);
            return;
        }
        let values: Vec<f32> = host_vec(signal);
        let rows: Vec<&[f32]> = match keep {
            None => values.chunks_exact(width).collect(),
            Some(keep) => {
                let rows = values.chunks_exact(width).zip(keep);
                rows.filter_map(|(row, keep)| keep.then_some(row)).collect()
            }
        };
        match self.arithmetic {
            Arithmetic::Float64 => float64::add(self.lower.on_host(), &rows, &mut self.wide),
            Arithmetic::SplitFloat32 => {
                let (lower, pieces) = (self.lower.on_host(), &mut self.pieces);
                self.finite &= split_float32::add(lower, &rows, self.tokens, pieces);
            }
        }
    }

    /// Adds row-major values, `[n, width]`, as [`Covariance::add`] does, computed on `device`.
    ///
    /// # Panics
    ///
    /// If the values are not a whole number of rows.
    pub fn add_rows(&mut self, rows: Vec<f32>, device: &Device) {
        let width = self.width();
        self.add(rows_on(rows, width, device), None);
    }

    /// The width of the signals.
    pub fn width(&self) -> usize {
        self.lower.columns()
    }

    /// How the products are computed.
    pub fn arithmetic(&self) -> Arithmetic {
        self.arithmetic
    }

    /// The number of tokens added.
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// The sum. Only its lower triangle is defined.
    ///
    /// # Errors
    ///
    /// If a token that was added is not finite. Its squares are on the diagonal.
    pub fn lower(&self) -> Result<MatRef<'_, f64>, NotFinite> {
        if self.is_finite() { Ok(self.lower.get()) } else { Err(NotFinite) }
    }

    /// Whether every token that was added is finite. The sum is not read back for it.
    pub fn is_finite(&self) -> bool {
        self.finite && self.lower.has_finite_diagonal()
    }
}
