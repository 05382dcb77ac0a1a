//! [`scatter_tokens`]: writes keys or values of new tokens into a KV cache.

use burn::backend::Flex;
use burn::tensor::Tensor;
use rayon::prelude::*;

use crate::view::{Heads, as_flex};

/// `all` with tokens `start..` replaced by `new`; in place if no other tensor shares its memory.
///
/// # Shapes
/// - `all`: `[rows, heads, capacity, head_dim]`
/// - `new`: `[rows, heads, tokens, head_dim]`
///
/// # Panics
///
/// If one of them is not [host float32](crate::is_host_f32).
pub fn scatter_tokens(all: Tensor<4>, start: usize, new: Tensor<4>) -> Tensor<4> {
    let [_, _, capacity, head_dim] = all.dims();
    let [_, heads, tokens, _] = new.dims();
    let new = Heads::of(new);
    let mut all = as_flex(all);
    if !(all.is_contiguous() && all.layout().start_offset() == 0) {
        all = all.to_contiguous();
    }
    let values: &mut [f32] = all.storage_mut();
    values.par_chunks_mut(capacity * head_dim).enumerate().for_each(|(index, of_head)| {
        let (row, head) = (index / heads, index % heads);
        let places = of_head[start * head_dim..].chunks_exact_mut(head_dim).take(tokens);
        for (token, place) in places.enumerate() {
            place.copy_from_slice(new.token(row, head, token));
        }
    });
    Tensor::from_primitive::<Flex>(all)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution};

    use super::*;

    #[test]
    fn tensors_that_share_memory_keep_their_values() {
        let device = Device::flex();
        let random = |shape: [usize; 4]| Tensor::<4>::random(shape, Distribution::Default, &device);
        let all = random([2, 3, 9, 4]);
        let other = all.clone();
        let before = other.clone().into_data();
        // In memory, tokens come before heads, as in the output of a projection.
        let new = random([2, 5, 3, 4]).swap_dims(1, 2);
        let exact = all.clone().slice_assign([0..2, 0..3, 2..7, 0..4], new.clone());
        assert_eq!(scatter_tokens(all, 2, new).into_data(), exact.into_data());
        assert_eq!(other.into_data(), before);
    }
}
