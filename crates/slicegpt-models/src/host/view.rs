//! Tensors of the processor's backend, looked at where they are.

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;

/// A float32 tensor that lies row by row, as it is or as a copy.
pub struct View(FlexTensor);

impl View {
    /// Of a tensor that [`takes`](super::takes) takes.
    ///
    /// # Panics
    ///
    /// If it lies elsewhere.
    pub fn of<const D: usize>(x: Tensor<D>) -> Self {
        Self(held(x).to_contiguous())
    }

    /// All its numbers.
    pub fn values(&self) -> &[f32] {
        self.0.as_slice().expect("it lies row by row")
    }
}

/// `x` as the backend has it.
///
/// # Panics
///
/// If it lies elsewhere.
pub fn held<const D: usize>(x: Tensor<D>) -> FlexTensor {
    x.try_into_primitive::<Flex>().expect("a tensor on the processor")
}
