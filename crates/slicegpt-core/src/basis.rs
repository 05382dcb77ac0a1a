//! [`Basis`]: orthonormal directions of the stream.

use burn::tensor::{DType, Device, Tensor, TensorData};

/// Orthonormal directions of the stream, one per column, the most important first:
/// `[hidden_size, rank]` in float64, on the host.
///
/// It is stored on the host because weights are rotated in float64 (SliceGPT, section 3.4), which
/// not every device supports. [`Basis::on`] gives a form that a device can multiply by.
///
/// # Example
///
/// ```
/// use slicegpt_core::Basis;
///
/// // The first two of three coordinate axes.
/// let basis = Basis::axes(3, 2);
/// assert_eq!(basis.values(), [1.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
/// assert!(Basis::axes(3, 3).is_identity());
/// ```
#[derive(Clone, Debug)]
pub struct Basis {
    /// Row-major `[hidden_size, rank]`.
    values: Vec<f64>,
    hidden_size: usize,
    rank: usize,
    /// Whether it is known to be the identity, so that multiplications by it can be skipped.
    identity: bool,
}

impl Basis {
    /// A basis from row-major values, `[hidden_size, rank]`.
    ///
    /// # Panics
    ///
    /// If the number of values is not `hidden_size * rank`, or `rank` is 0 or above `hidden_size`.
    pub fn new(values: Vec<f64>, hidden_size: usize, rank: usize) -> Self {
        assert_eq!(values.len(), hidden_size * rank, "a basis is [hidden_size, rank]");
        assert!((1..=hidden_size).contains(&rank), "rank {rank} of {hidden_size} directions");
        Self { values, hidden_size, rank, identity: false }
    }

    /// The first `rank` coordinate axes: a basis that drops the other coordinates and changes
    /// nothing else.
    pub fn axes(hidden_size: usize, rank: usize) -> Self {
        let mut values = vec![0.0; hidden_size * rank];
        (0..rank).for_each(|i| values[i * rank + i] = 1.0);
        let identity = rank == hidden_size;
        Self { identity, ..Self::new(values, hidden_size, rank) }
    }

    /// Whether this is [`Basis::axes`] of full rank, so that changing to it changes nothing.
    pub fn is_identity(&self) -> bool {
        self.identity
    }

    /// The width of the stream before slicing.
    pub fn hidden_size(&self) -> usize {
        self.hidden_size
    }

    /// The number of directions kept.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// Row-major values, `[hidden_size, rank]`.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The basis on `device` as a tensor of `dtype`, `[hidden_size, rank]`.
    pub fn to(&self, device: &Device, dtype: DType) -> Tensor<2> {
        let data = TensorData::new(self.values.clone(), [self.hidden_size, self.rank]);
        Tensor::from_data(data.convert_dtype(dtype), (device, dtype))
    }
}
