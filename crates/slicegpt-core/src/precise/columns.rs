//! [`Columns`]: a basis, or another float64 matrix, on a device, ready to be multiplied with at float64 grade.

use burn::tensor::{DType, Device, Tensor, TensorData};

use super::{Fineness, Split, has_own_memory};
use crate::Basis;

/// A basis on a device, in what that device multiplies with at float64 grade: float64 itself, or the
/// pieces of a [`Split`].
#[derive(Clone, Debug)]
pub struct Columns {
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
    Split(Split, Fineness),
}

impl Columns {
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
            return Self::split(values, shape, device, Fineness::of(device));
        }
        let data = TensorData::new(values.to_vec(), shape);
        let matrix = Tensor::from_data(data, (device, DType::F64));
        Self { arithmetic: Arithmetic::Float64(matrix), identity: false }
    }

    /// [`Columns::from_f64`] in pieces, for a device that rounds as `fineness` says.
    pub fn split(values: &[f64], shape: [usize; 2], device: &Device, fineness: Fineness) -> Self {
        let split = Split::from_f64(values, shape, device, fineness);
        Self { arithmetic: Arithmetic::Split(split, fineness), identity: false }
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
            Arithmetic::Split(b, fineness) => b.product(&finite(w, *fineness)),
        };
        product.cast(dtype)
    }

    /// `W B`, in the type of `w`: this matrix after another.
    ///
    /// # Shapes
    /// - `w`: `[n, hidden_size]`
    /// - output: `[n, rank]`
    pub fn after(&self, w: Tensor<2>) -> Tensor<2> {
        let dtype = w.dtype();
        let product = match &self.arithmetic {
            Arithmetic::Float64(b) => w.cast(DType::F64).matmul(b.clone()),
            Arithmetic::Split(b, fineness) => finite(w.transpose(), *fineness).product(b),
        };
        product.cast(dtype)
    }

    /// `B^T C`, `[rank, rank of other]`, as `dtype`.
    ///
    /// # Panics
    ///
    /// If the two were made for different kinds of device.
    pub fn transposed_times_columns(&self, other: &Self, dtype: DType) -> Tensor<2> {
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
fn finite(weight: Tensor<2>, fineness: Fineness) -> Split {
    Split::new(weight, fineness).expect("weights are read as finite numbers")
}
