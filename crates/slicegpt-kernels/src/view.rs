//! Tensors of Burn's CPU backend, read and written in place.

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::{DType, Device, Tensor};
use faer::MatRef;

/// Whether `x` is a tensor that every kernel takes: float32 on Burn's Flex backend, without
/// autodiff. Everything else is left to Burn, other CPU backends included. [`has_kernels`] is
/// wider.
pub fn is_host_f32<const D: usize>(x: &Tensor<D>) -> bool {
    let device = x.device();
    x.dtype() == DType::F32 && !device.is_autodiff() && device == Device::flex()
}

/// Whether `x` is a tensor that the kernels with a gradient take: float32 on Burn's Flex backend,
/// tracked by autodiff or not. Everything else is left to Burn.
///
/// Such kernels take tracked and plain tensors together, as Burn's operations do: a plain one is a
/// constant.
pub fn has_kernels<const D: usize>(x: &Tensor<D>) -> bool {
    // Devices are compared without autodiff.
    x.dtype() == DType::F32 && x.device() == Device::flex()
}

/// A contiguous float32 tensor: the tensor itself, or a copy.
pub(crate) struct View(FlexTensor);

impl View {
    /// `x`, row-major.
    ///
    /// # Panics
    ///
    /// If it is not on the Flex backend.
    pub fn of<const D: usize>(x: Tensor<D>) -> Self {
        Self::of_primitive(as_flex(x))
    }

    /// The same of a primitive of the Flex backend.
    pub fn of_primitive(x: FlexTensor) -> Self {
        Self(x.to_contiguous())
    }

    /// The tensor itself.
    pub fn tensor(&self) -> FlexTensor {
        self.0.clone()
    }

    /// The size of the last dimension.
    pub fn width(&self) -> usize {
        self.0.layout().shape().last().copied().unwrap_or(1)
    }

    /// All its numbers, row-major.
    pub fn values(&self) -> &[f32] {
        self.0.as_slice().expect("it is contiguous")
    }
}

/// `[batch, heads, tokens, head_dim]`, in which the numbers of a token are contiguous.
pub(crate) struct Heads {
    tensor: FlexTensor,
    strides: [usize; 3],
    head_dim: usize,
    start: usize,
}

impl Heads {
    /// `x`, copied only if the numbers of a token are not contiguous in it.
    ///
    /// # Panics
    ///
    /// If it is not on the Flex backend.
    pub fn of(x: Tensor<4>) -> Self {
        let [_, _, _, head_dim] = x.dims();
        let mut tensor = as_flex(x);
        let strides = tensor.layout().strides();
        let contiguous = strides[3] == 1 || head_dim == 1;
        if !(contiguous && strides.iter().all(|stride| *stride >= 0)) {
            tensor = tensor.to_contiguous();
        }
        let strides = std::array::from_fn(|dim| tensor.layout().strides()[dim] as usize);
        let start = tensor.layout().start_offset();
        Self { tensor, strides, head_dim, start }
    }

    /// The numbers of one token of a head.
    pub fn token(&self, row: usize, head: usize, position: usize) -> &[f32] {
        let [rows, heads, positions] = self.strides;
        let at = self.start + row * rows + head * heads + position * positions;
        &self.tensor.storage()[at..at + self.head_dim]
    }

    /// The first tokens of a head, `[tokens, head_dim]`, copied to `buffer` if they are not
    /// contiguous and are multiplied with many `rows`: numbers in a page each are slow to read.
    pub fn packed<'a>(
        &'a self,
        [row, head, tokens]: [usize; 3],
        rows: usize,
        buffer: &'a mut Vec<f32>,
    ) -> MatRef<'a, f32> {
        const MANY: usize = 16;
        if rows < MANY || tokens < 2 || self.strides[2] == self.head_dim {
            return self.tokens(row, head, tokens);
        }
        buffer.clear();
        (0..tokens).for_each(|token| buffer.extend_from_slice(self.token(row, head, token)));
        MatRef::from_row_major_slice(buffer.as_slice(), tokens, self.head_dim)
    }

    /// The first tokens of a head, `[tokens, head_dim]`.
    pub fn tokens(&self, row: usize, head: usize, tokens: usize) -> MatRef<'_, f32> {
        let at = self.start + row * self.strides[0] + head * self.strides[1];
        let values: &[f32] = &self.tensor.storage()[at..];
        // With at most one token the stride may be anything.
        let stride = if tokens > 1 { self.strides[2] } else { self.head_dim };
        MatRef::from_row_major_slice_with_stride(values, tokens, self.head_dim, stride)
    }
}

/// `x` as a tensor of the Flex backend.
///
/// # Panics
///
/// If it is not on the Flex backend.
pub(crate) fn as_flex<const D: usize>(x: Tensor<D>) -> FlexTensor {
    x.try_into_primitive::<Flex>().expect("kernels are called with tensors of the Flex backend")
}

/// Applies `change` to the numbers of `x`, in its memory if no other tensor shares it, else in a
/// copy.
pub(crate) fn in_place<const D: usize>(x: Tensor<D>, change: impl FnOnce(&mut [f32])) -> Tensor<D> {
    let device = x.device();
    let mut data = x.into_data();
    change(data.as_mut_slice().expect("kernels are called with float32"));
    Tensor::from_data(data, &device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_take_float32_on_flex_and_nothing_else() {
        let on = |device: &Device| Tensor::<1>::zeros([3], device);
        assert!(is_host_f32(&on(&Device::flex())));
        assert!(!is_host_f32(&on(&Device::flex()).cast(DType::F16)));
        assert!(!is_host_f32(&on(&Device::flex().autodiff())));
        assert!(has_kernels(&on(&Device::flex())));
        assert!(!has_kernels(&on(&Device::flex()).cast(DType::F16)));
        assert!(has_kernels(&on(&Device::flex().autodiff()).require_grad()));
    }
}
