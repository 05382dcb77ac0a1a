//! Tensors of the processor's backend, looked at where they are.

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;
use faer::MatRef;

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

/// `[batch, heads, tokens, head_dim]`, of which the numbers of a token lie side by side.
pub struct Heads {
    tensor: FlexTensor,
    strides: [usize; 3],
    head_dim: usize,
    start: usize,
}

impl Heads {
    /// Of a tensor on the processor.
    pub fn of(x: Tensor<4>) -> Self {
        let [_, _, _, head_dim] = x.dims();
        let mut tensor = held(x);
        let lies = |tensor: &FlexTensor| {
            let strides = tensor.layout().strides();
            (strides[3] == 1 || head_dim == 1) && strides.iter().all(|stride| *stride >= 0)
        };
        if !lies(&tensor) {
            tensor = tensor.to_contiguous();
        }
        let strides = std::array::from_fn(|dim| tensor.layout().strides()[dim] as usize);
        let start = tensor.layout().start_offset();
        Self { tensor, strides, head_dim, start }
    }

    /// The numbers of a token.
    pub fn token(&self, row: usize, head: usize, position: usize) -> &[f32] {
        let at = [row, head, position];
        let at =
            self.start + at.iter().zip(self.strides).map(|(i, stride)| i * stride).sum::<usize>();
        &self.tensor.storage()[at..at + self.head_dim]
    }

    /// The first tokens of a head, `[tokens, head_dim]`.
    pub fn tokens(&self, row: usize, head: usize, tokens: usize) -> MatRef<'_, f32> {
        let at = self.start + row * self.strides[0] + head * self.strides[1];
        let values: &[f32] = &self.tensor.storage()[at..];
        // Of one token, or none, it says nothing.
        let stride = if tokens > 1 { self.strides[2] } else { self.head_dim };
        MatRef::from_row_major_slice_with_stride(values, tokens, self.head_dim, stride)
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
