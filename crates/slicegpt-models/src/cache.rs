//! [`Cache`]: the KV cache of a sequence.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use burn::tensor::Tensor;
use slicegpt_kernels::{is_host_f32, scatter_tokens};

/// The capacity grows by at least this many tokens.
const STEP: usize = 64;

/// The keys and values of all tokens so far, by layer. A clone shares them: see [`Cache::fork`].
#[derive(Clone, Debug, Default)]
pub struct Cache {
    capacity: usize,
    layers: Arc<Mutex<BTreeMap<usize, Layer>>>,
}

#[derive(Clone, Debug)]
struct Layer {
    /// Keys and values, `[rows, kv_heads, capacity, head_dim]`; only the first `seen` tokens are
    /// valid.
    tensors: [Tensor<4>; 2],
    seen: usize,
}

impl Cache {
    /// An empty cache with capacity for `tokens` tokens; it grows if there are more.
    pub fn with_capacity(tokens: usize) -> Self {
        Self { capacity: tokens, layers: Arc::default() }
    }

    /// The number of tokens that are allocated for a cache of capacity `tokens`.
    pub fn allocated(tokens: usize) -> usize {
        tokens.next_multiple_of(STEP)
    }

    /// The number of tokens it holds.
    pub fn seen(&self) -> usize {
        self.lock().values().map(|layer| layer.seen).max().unwrap_or(0)
    }

    /// Forgets all but the first `tokens` tokens.
    pub fn truncate(&self, tokens: usize) {
        self.lock().values_mut().for_each(|layer| layer.seen = layer.seen.min(tokens));
    }

    /// Another cache with the same contents. Nothing is copied until one of them is written to.
    pub fn fork(&self) -> Self {
        Self { capacity: self.capacity, layers: Arc::new(Mutex::new(self.lock().clone())) }
    }

    /// Its bytes, unused capacity included.
    pub fn bytes(&self) -> usize {
        let of = |layer: &Layer| {
            layer.tensors.iter().map(|x| x.shape().num_elements() * x.dtype().size()).sum::<usize>()
        };
        self.lock().values().map(of).sum()
    }

    /// Appends keys and values, `[rows, kv_heads, tokens, head_dim]`, to those of `layer`, and
    /// returns all of them.
    pub(crate) fn append(&self, layer: usize, new: [Tensor<4>; 2]) -> [Tensor<4>; 2] {
        let mut layers = self.lock();
        // Taken out, so that its memory is not shared while it is written to.
        let old = layers.remove(&layer);
        let start = old.as_ref().map_or(0, |old| old.seen);
        let seen = start + new[0].dims()[2];
        let allocated = old.as_ref().map_or(0, |old| old.tensors[0].dims()[2]);
        let capacity = if allocated >= seen {
            allocated
        } else {
            Self::allocated(self.capacity.max(seen + start / 2))
        };
        let mut old = old.map(|old| old.tensors.map(Some)).unwrap_or_default().into_iter();
        let tensors = new.map(|new| {
            let [rows, heads, _, head_dim] = new.dims();
            let grown = |old: Option<Tensor<4>>| {
                let empty =
                    Tensor::zeros([rows, heads, capacity, head_dim], (&new.device(), new.dtype()));
                match old {
                    Some(old) if start > 0 => put(empty, 0, old.narrow(2, 0, start)),
                    // A tensor has no dimension of zero.
                    _ => empty,
                }
            };
            let old = match old.next().flatten() {
                Some(old) if allocated >= seen => old,
                old => grown(old),
            };
            put(old, start, new)
        });
        let all = [&tensors[0], &tensors[1]].map(|x| x.clone().narrow(2, 0, seen));
        layers.insert(layer, Layer { tensors, seen });
        all
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<usize, Layer>> {
        self.layers.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// `all`, `[rows, kv_heads, capacity, head_dim]`, in which tokens `start..` are `new`.
fn put(all: Tensor<4>, start: usize, new: Tensor<4>) -> Tensor<4> {
    if is_host_f32(&new) {
        return scatter_tokens(all, start, new);
    }
    let [rows, heads, tokens, head_dim] = new.dims();
    all.slice_assign([0..rows, 0..heads, start..start + tokens, 0..head_dim], new)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution};

    use super::*;

    fn some(tokens: usize) -> Tensor<4> {
        Tensor::random([2, 3, tokens, 4], Distribution::Default, &Device::flex())
    }

    #[test]
    fn it_holds_what_was_appended() {
        for cache in [Cache::default(), Cache::with_capacity(100)] {
            let mut all: Option<Tensor<4>> = None;
            for tokens in [5, 1, 1, 60, 1, 200, 1] {
                let (key, value) = (some(tokens), some(tokens));
                all = Some(match all {
                    Some(all) => Tensor::cat(vec![all, key.clone()], 2),
                    None => key.clone(),
                });
                let [found, _] = cache.append(0, [key, value]);
                let found = found.into_data();
                assert_eq!(found, all.clone().unwrap().into_data());
            }
            assert_eq!(cache.seen(), 269);
        }
    }

    #[test]
    fn a_cache_that_was_emptied_grows_too() {
        let cache = Cache::default();
        cache.append(0, [some(7), some(7)]);
        cache.truncate(0);
        let long = some(200);
        let [found, _] = cache.append(0, [long.clone(), some(200)]);
        assert_eq!(found.into_data(), long.into_data());
    }

    #[test]
    fn forks_are_independent() {
        let cache = Cache::default();
        let [first, _] = cache.append(0, [some(7), some(7)]);
        let first = first.into_data();
        let fork = cache.fork();
        cache.append(0, [some(2), some(2)]);
        fork.truncate(7);
        assert_eq!((cache.seen(), fork.seen()), (9, 7));
        let [both, _] = fork.append(0, [some(1), some(1)]);
        assert_eq!(both.narrow(2, 0, 7).into_data(), first);
        assert!(fork.bytes() >= 2 * 2 * 3 * 8 * 4 * 4);
    }
}
