//! [`PreciseMatrix`]: a basis, or another float64 matrix, on a device, ready to be multiplied with at float64 grade.

use burn::tensor::{DType, Device, Tensor, TensorData};

use super::{OperandPrecision, Split, has_own_memory};
use crate::Basis;

/// A basis on a device, in what that device multiplies with at float64 grade: float64 itself, or the
/// pieces of a [`Split`].
#[derive(Clone, Debug)]
pub struct PreciseMatrix {
    arithmetic: Arithmetic,
    identity: bool,
}

// One or two at a time: their size is nothing beside what they hold.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Debug)]
enum Arithmetic {
    /// `[hidden_size, rank]` in float64.
    Float64(Tensor<2>),
    /// The same, in pieces.
    Split(Split, OperandPrecision),
}

impl PreciseMatrix {
    /// `basis` for `device`.
    pub fn new(basis: &Basis, device: &Device) -> Self {
        let shape = [basis.hidden_size(), basis.rank()];
        Self { identity: basis.is_identity(), ..Self::from_f64(basis.values(), shape, device) }
    }

    /// Any matrix, row-major in float64, for `device`: in float64 where the device is the processor,
    /// in pieces elsewhere.
    ///
    /// # Panics
    ///
    /// If a value is not finite, or their number is not that of the shape.
    pub fn from_f64(values: &[f64], shape: [usize; 2], device: &Device) -> Self {
        if has_own_memory(device) {
            return Self::split(values, shape, device, OperandPrecision::of(device));
        }
        let data = TensorData::new(values.to_vec(), shape);
        let matrix = Tensor::from_data(data, (device, DType::F64));
        Self { arithmetic: Arithmetic::Float64(matrix), identity: false }
    }

    /// [`PreciseMatrix::from_f64`] in pieces, for a device that rounds as `precision` says.
    pub fn split(
        values: &[f64],
        shape: [usize; 2],
        device: &Device,
        precision: OperandPrecision,
    ) -> Self {
        let split = Split::from_f64(values, shape, device, precision);
        Self { arithmetic: Arithmetic::Split(split, precision), identity: false }
    }

    /// Whether these are all coordinate axes, so that nothing need be multiplied by them.
    pub fn is_identity(&self) -> bool {
        self.identity
    }

    /// `B^T W`, in the type of `w`.
    ///
    /// # Shapes
    /// - `w`: `[hidden_size, n]`
    /// - output: `[rank, n]`
    pub fn transposed_times(&self, w: Tensor<2>) -> Tensor<2> {
        let dtype = w.dtype();
        let product = match &self.arithmetic {
            Arithmetic::Float64(b) => b.clone().transpose().matmul(w.cast(DType::F64)),
            Arithmetic::Split(b, precision) => b.product(&finite(w, *precision)),
        };
        product.cast(dtype)
    }

    /// `W B`, in the type of `w`: this matrix after another.
    ///
    /// # Shapes
    /// - `w`: `[n, hidden_size]`
    /// - output: `[n, rank]`
    pub fn apply(&self, w: Tensor<2>) -> Tensor<2> {
        let dtype = w.dtype();
        let product = match &self.arithmetic {
            Arithmetic::Float64(b) => w.cast(DType::F64).matmul(b.clone()),
            Arithmetic::Split(b, precision) => finite(w.transpose(), *precision).product(b),
        };
        product.cast(dtype)
    }

    /// `B^T C`, `[rank, rank of other]`, as `dtype`.
    ///
    /// # Panics
    ///
    /// If the two were made for different kinds of device.
    pub fn transposed_times_matrix(&self, other: &Self, dtype: DType) -> Tensor<2> {
        let product = match (&self.arithmetic, &other.arithmetic) {
            (Arithmetic::Float64(b), Arithmetic::Float64(c)) => {
                b.clone().transpose().matmul(c.clone())
            }
            (Arithmetic::Split(b, _), Arithmetic::Split(c, _)) => b.product(c),
            _ => unreachable!("both bases are on one device"),
        };
        product.cast(dtype)
    }
}

/// A weight in pieces.
fn finite(weight: Tensor<2>, precision: OperandPrecision) -> Split {
    Split::new(weight, precision).expect("weights are read as finite numbers")
}
