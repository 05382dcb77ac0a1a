//! The attention branch: grouped heads, rotary positions, masks, a cache.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::Tensor;
use burn::tensor::module::attention;
use burn::tensor::ops::AttentionModuleOptions;
use slicegpt_core::Norm;
use slicegpt_kernels::{causal_attention, has_kernels, is_host_f32, normalise, project};

use crate::Context;
use crate::context::Visible;
use crate::rope::rotate;

/// The attention of a block.
#[derive(Module, Debug)]
pub struct Attention {
    /// `[width in, heads * head_dim]`.
    pub query: Linear,
    /// `[width in, kv_heads * head_dim]`.
    pub key: Linear,
    /// `[width in, kv_heads * head_dim]`.
    pub value: Linear,
    /// `[heads * head_dim, width out]`: the writer.
    pub output: Linear,
    /// An RMS norm over each query head, and one over each key head (Qwen3).
    pub head_norms: Option<[Norm; 2]>,
    /// Width of a head.
    pub head_dim: usize,
    /// The number of tokens that a token sees, itself included, if limited.
    pub window: Option<usize>,
    /// The index of the block, which selects the layer of the cache.
    pub layer: usize,
}

impl Attention {
    /// Outputs of the query heads that share a key and value head.
    pub(crate) fn queries_per_unit(&self) -> usize {
        let [queries, keys] = [&self.query, &self.key].map(|linear| linear.weight.dims()[1]);
        queries / (keys / self.head_dim)
    }

    /// The input of [`Attention::output`].
    ///
    /// # Shapes
    /// - `x`: `[batch, tokens, width in]`
    /// - output: `[batch, tokens, heads * head_dim]`
    pub fn hidden(&self, x: Tensor<3>, context: &Context) -> Tensor<3> {
        let [batch, tokens, _] = x.dims();
        let split = |y: Tensor<3>| {
            let heads = y.dims()[2] / self.head_dim;
            y.reshape([batch, tokens, heads, self.head_dim])
        };
        let mut query = split(project(&self.query, x.clone()));
        let mut key = split(project(&self.key, x.clone()));
        let value = split(project(&self.value, x));
        if let Some([query_norm, key_norm]) = &self.head_norms {
            query = per_head(query_norm, query);
            key = per_head(key_norm, key);
        }
        if let Some(tables) = &context.rotary {
            query = rotate(query, tables);
            key = rotate(key, tables);
        }
        let heads = query.dims()[2];
        // [batch, tokens, heads, head_dim] -> [batch, heads, tokens, head_dim]
        let parts = [query, key, value].map(|x| x.swap_dims(1, 2));
        let parts = context.visible(self.layer, self.window, parts);
        let mut mixed: Vec<_> = parts.into_iter().map(mix).collect();
        let mixed = match mixed.len() {
            1 => mixed.swap_remove(0),
            _ => Tensor::cat(mixed, 1),
        };
        mixed.reshape([batch, tokens, heads * self.head_dim])
    }
}

/// The values that queries see, weighted: `[batch, tokens, heads, head_dim]`.
fn mix(Visible { query, key, value, mask }: Visible) -> Tensor<4> {
    // Without padding and window, the causal mask is the only one.
    if mask.is_none() && has_kernels(&query) {
        return causal_attention(query, key, value);
    }
    // The host kernel above propagates NaN already; Burn's attention may hide it.
    let damage = damage(&query) + damage(&key);
    let heads = query.dims()[1];
    let [key, value] = [key, value].map(|x| for_each_query_head(x, heads));
    let mixed = match mask {
        Some(mask) => attention(query, key, value, Some(mask), None, Default::default()),
        None => causal(query, key, value),
    };
    (mixed + damage).swap_dims(1, 2)
}

/// Key and value heads, each repeated for the query heads that share it:
/// `[batch, heads, tokens, head_dim]`.
///
/// Attention on Flex takes grouped heads as they are; that of other backends does not.
fn for_each_query_head(x: Tensor<4>, heads: usize) -> Tensor<4> {
    let [batch, kv_heads, tokens, head_dim] = x.dims();
    if kv_heads == heads || is_host_f32(&x) {
        return x;
    }
    let shared = heads / kv_heads;
    let x = x.unsqueeze_dim::<5>(2).expand([batch, kv_heads, shared, tokens, head_dim]);
    x.reshape([batch, heads, tokens, head_dim])
}

/// Zero, or NaN where a sequence holds a NaN or an infinity: `[batch, 1, 1, 1]`.
///
/// Softmax of a row of NaN gives zeros on some backends. An overflow in the queries or keys must
/// not give a result that is finite and wrong.
fn damage(x: &Tensor<4>) -> Tensor<4> {
    // Multiplied by zero first: a sum of half-precision numbers may overflow.
    x.clone().mul_scalar(0.0).sum_dim(3).sum_dim(2).sum_dim(1)
}

/// Queries at a time with the causal mask alone: this bounds the scores in memory.
pub const QUERIES: usize = 64;

/// Causal attention, a few queries at a time over the keys they see. All at once, half of the
/// scores of a long sequence would be computed only to be masked.
///
/// # Shapes
/// - `query`: `[batch, heads, tokens, head_dim]`, the last of the `seen` tokens
/// - `key`, `value`: `[batch, kv_heads, seen, head_dim]`
/// - output: `[batch, heads, tokens, head_dim]`
fn causal(query: Tensor<4>, key: Tensor<4>, value: Tensor<4>) -> Tensor<4> {
    let (tokens, seen) = (query.dims()[2], key.dims()[2]);
    let pieces = (0..tokens).step_by(QUERIES).map(|start| {
        let length = QUERIES.min(tokens - start);
        let visible = seen - tokens + start + length;
        let query = query.clone().narrow(2, start, length);
        let [key, value] = [&key, &value].map(|x| x.clone().narrow(2, 0, visible));
        let options = AttentionModuleOptions { is_causal: true, ..Default::default() };
        attention(query, key, value, None, None, options)
    });
    let mut pieces: Vec<_> = pieces.collect();
    match pieces.len() {
        1 => pieces.swap_remove(0),
        _ => Tensor::cat(pieces, 2),
    }
}

/// Normalises each head separately: `[batch, tokens, heads, head_dim]`.
fn per_head(norm: &Norm, x: Tensor<4>) -> Tensor<4> {
    let shape @ [batch, tokens, heads, head_dim] = x.dims();
    normalise(norm, x.reshape([batch * tokens, heads, head_dim])).reshape(shape)
}

/// The norm of one head: RMS with a weight, `[head_dim]`.
pub(crate) fn head_norm(weight: Tensor<1>, eps: f64) -> Norm {
    let [head_dim] = weight.dims();
    Norm { weight: Some(Param::from_tensor(weight)), ..Norm::bare(head_dim, eps) }
}
