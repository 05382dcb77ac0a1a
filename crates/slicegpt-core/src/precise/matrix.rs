//! [`PreciseMatrix`]: a matrix on a device, for products to double-precision accuracy.

use burn::tensor::{DType, Device, Tensor, TensorData};

use super::{OperandPrecision, Split, has_own_memory};
use crate::Basis;

/// A matrix on a device, in a form that the device multiplies by to double-precision accuracy:
/// float64, or the pieces of a [`Split`].
///
/// # Example
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use slicegpt_core::{host_vec, precise::PreciseMatrix};
///
/// let device = Device::flex();
/// let matrix = PreciseMatrix::from_f64(&[1.0, 2.0, 3.0, 4.0], [2, 2], &device);
/// let rows = Tensor::<2>::from_floats([[1.0, 1.0]], &device);
/// let product: Vec<f32> = host_vec(matrix.apply(rows));
/// assert_eq!(product, [4.0, 6.0]);
/// ```
#[derive(Clone, Debug)]
pub struct PreciseMatrix {
    arithmetic: Arithmetic,
    identity: bool,
}

// There are one or two at a time, and their size is negligible compared with the data they own.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Debug)]
enum Arithmetic {
    /// `[hidden_size, rank]` in float64.
    Float64(Tensor<2>),
    /// The same, in pieces.
    Split(Split, OperandPrecision),
}

impl Basis {
    /// The basis on `device`, for products to double-precision accuracy.
    pub fn on(&self, device: &Device) -> PreciseMatrix {
        PreciseMatrix::new(self, device)
    }
}

impl PreciseMatrix {
    /// `basis` on `device`.
    pub fn new(basis: &Basis, device: &Device) -> Self {
        let shape = [basis.hidden_size(), basis.rank()];
        Self { identity: basis.is_identity(), ..Self::from_f64(basis.values(), shape, device) }
    }

    /// A matrix from row-major values, on `device`: in float64 on the CPU, split on an accelerator.
    ///
    /// # Panics
    ///
    /// If the number of values does not match the shape, or, on an accelerator, a value is not
    /// finite.
    pub fn from_f64(values: &[f64], shape: [usize; 2], device: &Device) -> Self {
        if has_own_memory(device) {
            return Self::split(values, shape, device, OperandPrecision::of(device));
        }
        let data = TensorData::new(values.to_vec(), shape);
        let matrix = Tensor::from_data(data, (device, DType::F64));
        Self { arithmetic: Arithmetic::Float64(matrix), identity: false }
    }

    /// [`PreciseMatrix::from_f64`] as a [`Split`], for a device that rounds operands to
    /// `precision`.
    pub fn split(
        values: &[f64],
        shape: [usize; 2],
        device: &Device,
        precision: OperandPrecision,
    ) -> Self {
        let split = Split::from_f64(values, shape, device, precision);
        Self { arithmetic: Arithmetic::Split(split, precision), identity: false }
    }

    /// Whether this is known to be the identity, so that multiplications by it can be skipped.
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
            Arithmetic::Split(b, precision) => b.product(&Split::new(w, *precision)),
        };
        product.cast(dtype)
    }

    /// `W B`, in the type of `w`: this matrix applied to each row of `w`.
    ///
    /// # Shapes
    /// - `w`: `[n, hidden_size]`
    /// - output: `[n, rank]`
    pub fn apply(&self, w: Tensor<2>) -> Tensor<2> {
        let dtype = w.dtype();
        let product = match &self.arithmetic {
            Arithmetic::Float64(b) => w.cast(DType::F64).matmul(b.clone()),
            Arithmetic::Split(b, precision) => Split::new(w.transpose(), *precision).product(b),
        };
        product.cast(dtype)
    }

    /// `B^T C`, `[rank, rank of other]`, as `dtype`.
    ///
    /// # Panics
    ///
    /// If the two are for different kinds of device.
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
