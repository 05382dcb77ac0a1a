//! [`Context`]: what attention needs in addition to the stream, computed once per batch.

use std::collections::BTreeMap;

use burn::tensor::{Bool, Device, Tensor, TensorData};
use slicegpt_core::TokenBatch;

use crate::{Cache, DecoderSpec, Positions};

/// Positions, masks and caches of one batch.
#[derive(Clone, Debug)]
pub struct Context {
    /// Cosine and sine of the positions, `[tokens, rotary dim]` each.
    pub(crate) rotary: Option<[Tensor<2>; 2]>,
    /// The parts of the batch, concatenated along its tokens.
    parts: Vec<Part>,
}

/// Tokens that see each other, and the cache of those before them.
#[derive(Clone, Debug)]
struct Part {
    tokens: usize,
    masks: Masks,
    cache: Option<Cache>,
}

/// Masks by window, `[batch or 1, 1, tokens, seen]`: `true` where a key is hidden from a token. A
/// window without an entry needs the causal mask only.
type Masks = BTreeMap<Option<usize>, Tensor<4, Bool>>;

/// The next tokens of a sequence.
#[derive(Clone, Copy, Debug)]
pub struct Next<'a> {
    /// Their number.
    pub tokens: usize,
    /// The cache of the tokens before them.
    pub cache: &'a Cache,
}

/// Queries, with all keys and values that any of them sees.
pub(crate) struct Visible {
    /// `[batch, heads, tokens, head_dim]`, the last of the `seen` tokens.
    pub query: Tensor<4>,
    /// `[batch, kv_heads, seen, head_dim]`.
    pub key: Tensor<4>,
    /// `[batch, kv_heads, seen, head_dim]`.
    pub value: Tensor<4>,
    /// The keys that are hidden from each token; only the causal mask if absent.
    pub mask: Option<Tensor<4, Bool>>,
}

impl Context {
    /// The context of a forward over a whole batch.
    pub fn new(spec: &DecoderSpec, batch: &TokenBatch, device: &Device) -> Self {
        let [rows, tokens] = batch.shape();
        let masks = masks(spec, batch.mask(), rows, 0, tokens, device);
        let parts = vec![Part { tokens, masks, cache: None }];
        Self { rotary: rotary(spec, [(0, tokens)], device), parts }
    }

    /// The context of the next `tokens` tokens of `rows` sequences, of which `cache` holds `start`.
    /// No padding.
    pub fn cached(
        spec: &DecoderSpec,
        rows: usize,
        start: usize,
        tokens: usize,
        cache: &Cache,
        device: &Device,
    ) -> Self {
        let masks = masks(spec, None, rows, start, tokens, device);
        let parts = vec![Part { tokens, masks, cache: Some(cache.clone()) }];
        Self { rotary: rotary(spec, [(start, tokens)], device), parts }
    }

    /// The context of the next tokens of several sequences that are run as one, `[1, tokens]`:
    /// those of the first, those of the second, and so on. Each sees only its own past, of any
    /// length.
    pub fn packed(spec: &DecoderSpec, sequences: &[Next<'_>], device: &Device) -> Self {
        let places = sequences.iter().map(|next| (next.cache.seen(), next.tokens));
        let rotary = rotary(spec, places.clone(), device);
        let parts = places.zip(sequences).map(|((start, tokens), next)| {
            let masks = masks(spec, None, 1, start, tokens, device);
            Part { tokens, masks, cache: Some(next.cache.clone()) }
        });
        Self { rotary, parts: parts.collect() }
    }

    /// Appends the new keys and values to the caches, and returns the queries of each part with the
    /// keys and values that they see.
    ///
    /// # Shapes
    /// - `query`: `[batch, heads, tokens, head_dim]`
    /// - `key`, `value`: `[batch, kv_heads, tokens, head_dim]`
    pub(crate) fn visible(
        &self,
        layer: usize,
        window: Option<usize>,
        [query, key, value]: [Tensor<4>; 3],
    ) -> Vec<Visible> {
        let mut start = 0;
        let parts = self.parts.iter().map(|part| {
            let of_part = |x: &Tensor<4>| match self.parts.len() {
                1 => x.clone(),
                _ => x.clone().narrow(2, start, part.tokens),
            };
            let (query, new) = (of_part(&query), [of_part(&key), of_part(&value)]);
            start += part.tokens;
            let [key, value] = match &part.cache {
                Some(cache) => cache.append(layer, new),
                None => new,
            };
            let seen = key.dims()[2];
            let mask = part.masks.get(&window).cloned();
            // One token needs no mask: the keys it does not see are left out.
            match window.filter(|window| part.tokens == 1 && *window < seen) {
                Some(window) => {
                    let [key, value] = [key, value].map(|x| x.narrow(2, seen - window, window));
                    Visible { query, key, value, mask }
                }
                None => Visible { query, key, value, mask },
            }
        });
        parts.collect()
    }
}

/// Cosine and sine of the positions of parts, each given by its first position and its length.
fn rotary(
    spec: &DecoderSpec,
    parts: impl IntoIterator<Item = (usize, usize)>,
    device: &Device,
) -> Option<[Tensor<2>; 2]> {
    let Positions::Rotary(rope) = &spec.positions else { return None };
    let tables = parts.into_iter().map(|(start, tokens)| rope.tables(start, tokens, device));
    let (mut cos, mut sin): (Vec<_>, Vec<_>) = tables.map(|[cos, sin]| (cos, sin)).unzip();
    Some(match cos.len() {
        1 => [cos.swap_remove(0), sin.swap_remove(0)],
        _ => [Tensor::cat(cos, 0), Tensor::cat(sin, 0)],
    })
}

/// The masks of `tokens` tokens that follow `start` earlier ones.
fn masks(
    spec: &DecoderSpec,
    keep: Option<&[bool]>,
    rows: usize,
    start: usize,
    tokens: usize,
    device: &Device,
) -> Masks {
    let seen = start + tokens;
    let mut masks = BTreeMap::new();
    for window in &spec.attention.windows {
        let alone = tokens == 1 && keep.is_none();
        let binds = !alone && window.is_some_and(|window| window < seen);
        if (keep.is_some() || binds) && !masks.contains_key(window) {
            let batch = if keep.is_some() { rows } else { 1 };
            let mut hidden = Vec::with_capacity(batch * tokens * seen);
            for row in 0..batch {
                for query in start..seen {
                    hidden.extend((0..seen).map(|key| {
                        let behind = query as isize - key as isize;
                        let outside = window.is_some_and(|w| behind >= w as isize);
                        let padding = keep.is_some_and(|keep| !keep[row * tokens + key]);
                        // A padded token sees itself, so that no softmax is over an empty row.
                        behind < 0 || outside || (padding && behind != 0)
                    }));
                }
            }
            let data = TensorData::new(hidden, [batch, 1, tokens, seen]);
            masks.insert(*window, Tensor::from_data(data, device));
        }
    }
    masks
}
