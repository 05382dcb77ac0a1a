//! [`Context`]: what attention needs beside the stream, made once per batch.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use burn::tensor::{Bool, Device, Tensor, TensorData};
use slicegpt_core::TokenBatch;

use crate::{DecoderSpec, Positions};

/// Positions, masks and cache of one batch.
#[derive(Clone, Debug)]
pub struct Context {
    /// Cosine and sine of the positions, `[tokens, rotary dim]` each.
    pub(crate) rotary: Option<[Tensor<2>; 2]>,
    /// `true` where a token may not look, `[batch or 1, 1, tokens, seen]`, by window. A window
    /// without an entry needs no mask but causality.
    masks: BTreeMap<Option<usize>, Tensor<4, Bool>>,
    cache: Option<Cache>,
}

/// The keys and values of all tokens so far, by layer.
#[derive(Clone, Debug, Default)]
pub struct Cache {
    layers: Arc<Mutex<BTreeMap<usize, [Tensor<4>; 2]>>>,
}

impl Context {
    /// The context of a forward over a whole batch.
    pub fn new(spec: &DecoderSpec, batch: &TokenBatch, device: &Device) -> Self {
        let [rows, tokens] = batch.shape();
        Self::build(spec, batch.mask(), rows, 0, tokens, None, device)
    }

    /// The context of the next `tokens` tokens of `rows` sequences of which `cache` has seen
    /// `start`. No padding.
    pub fn cached(
        spec: &DecoderSpec,
        rows: usize,
        start: usize,
        tokens: usize,
        cache: &Cache,
        device: &Device,
    ) -> Self {
        Self::build(spec, None, rows, start, tokens, Some(cache.clone()), device)
    }

    fn build(
        spec: &DecoderSpec,
        keep: Option<&[bool]>,
        rows: usize,
        start: usize,
        tokens: usize,
        cache: Option<Cache>,
        device: &Device,
    ) -> Self {
        let rotary = match &spec.positions {
            Positions::Rotary(rope) => Some(rope.tables(start, tokens, device)),
            Positions::Learned { .. } => None,
        };
        let seen = start + tokens;
        let mut masks = BTreeMap::new();
        for window in &spec.attention.windows {
            let binds = window.is_some_and(|window| window < seen);
            if (keep.is_some() || binds) && !masks.contains_key(window) {
                let batch = if keep.is_some() { rows } else { 1 };
                let mut hidden = Vec::with_capacity(batch * tokens * seen);
                for row in 0..batch {
                    for query in start..seen {
                        hidden.extend((0..seen).map(|key| {
                            let behind = query as isize - key as isize;
                            let outside = window.is_some_and(|w| behind >= w as isize);
                            let padding = keep.is_some_and(|keep| !keep[row * tokens + key]);
                            // A padded token sees itself, so that no softmax is over nothing.
                            behind < 0 || outside || (padding && behind != 0)
                        }));
                    }
                }
                let data = TensorData::new(hidden, [batch, 1, tokens, seen]);
                masks.insert(*window, Tensor::from_data(data, device));
            }
        }
        Self { rotary, masks, cache }
    }

    pub(crate) fn mask(&self, window: Option<usize>) -> Option<Tensor<4, Bool>> {
        self.masks.get(&window).cloned()
    }

    /// Appends keys and values (`[batch, kv_heads, tokens, head_dim]`) to what the cache holds for
    /// `layer`, and gives all of them.
    pub(crate) fn remember(&self, layer: usize, new: [Tensor<4>; 2]) -> [Tensor<4>; 2] {
        let Some(cache) = &self.cache else { return new };
        let mut layers = cache.layers.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let all = match layers.remove(&layer) {
            None => new,
            Some([key, value]) => {
                let [new_key, new_value] = new;
                [Tensor::cat(vec![key, new_key], 2), Tensor::cat(vec![value, new_value], 2)]
            }
        };
        layers.insert(layer, all.clone());
        all
    }
}
