//! The operations of a forward pass and the memory traffic of a model, from shapes alone. The speed
//! of a machine is measured elsewhere.

use crate::names::{Kind, Part};
use crate::{DecoderSpec, Entry};

impl DecoderSpec {
    /// Operations (multiplications and additions) of the matrix products in a prefill of `tokens`
    /// tokens of one sequence, up to the logits after the last: linears, shortcuts, attention over
    /// the keys that each token sees, one row of the head.
    pub fn prefill_operations(&self, tokens: usize) -> f64 {
        let products: usize = (0..self.layers)
            .flat_map(|block| self.block_entries(block))
            .filter(Entry::is_matrix)
            .map(|entry| entry.numel())
            .sum();
        let attention: f64 = self
            .attention
            .windows
            .iter()
            .map(|window| self.attention_operations(tokens, *window))
            .sum();
        let [vocab_size, width] = [self.vocab_size, self.width(self.cuts() - 1)];
        2.0 * products as f64 * tokens as f64 + attention + 2.0 * (vocab_size * width) as f64
    }

    /// Scores and mixing of values in one layer.
    fn attention_operations(&self, tokens: usize, window: Option<usize>) -> f64 {
        let most = window.unwrap_or(tokens).min(tokens) as f64;
        let tokens = tokens as f64;
        // One token sees one key, the next two, and so on up to the window.
        let seen = most * (most + 1.0) / 2.0 + (tokens - most) * most;
        4.0 * (self.attention.heads * self.attention.head_dim) as f64 * seen
    }

    /// The elements that a decode step reads: every weight of the blocks and of the head, once.
    pub fn decode_elements(&self) -> usize {
        let blocks = (0..self.layers).flat_map(|block| self.block_entries(block));
        let blocks: usize = blocks.map(|entry| entry.numel()).sum();
        blocks + self.vocab_size * self.width(self.cuts() - 1)
    }

    /// The elements of the KV cache per token.
    pub fn cache_elements(&self) -> usize {
        2 * self.layers * self.attention.kv_heads * self.attention.head_dim
    }
}

impl Entry {
    /// Whether it is a matrix that every token is multiplied by.
    fn is_matrix(&self) -> bool {
        self.parts.iter().any(|(part, kind)| {
            let norm = matches!(part, Part::Norm(_) | Part::QueryNorm | Part::KeyNorm);
            *kind == Kind::Weight && !norm
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use slicegpt_core::Widths;

    use super::*;

    fn dense() -> DecoderSpec {
        crate::parse(&json!({
            "model_type": "llama", "vocab_size": 10, "hidden_size": 8, "intermediate_size": 16,
            "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1,
            "max_position_embeddings": 64,
        }))
        .unwrap()
    }

    #[test]
    fn products_are_counted_once_per_token() {
        // Query and output 8 x 8, key and value 8 x 4, three of the MLP 8 x 16; two layers.
        let linears = 2 * (2 * 64 + 2 * 32 + 3 * 128);
        // Three tokens see 1, 2 and 3 keys; two heads of 4, scored and mixed.
        let attention = 2 * (1 + 2 + 3) * 2 * 4 * 2;
        let expected = 2 * linears * 3 + 2 * attention + 2 * 80;
        assert_eq!(dense().prefill_operations(3), f64::from(expected));
        assert_eq!(dense().decode_elements(), linears as usize + 2 * 2 * 8 + 80);
        assert_eq!(dense().cache_elements(), 2 * 2 * 4);
    }

    #[test]
    fn a_window_and_a_cut_reduce_the_work() {
        let mut narrow = dense();
        narrow.attention.windows = vec![Some(2); 2];
        assert!(narrow.prefill_operations(40) < dense().prefill_operations(40));
        assert_eq!(narrow.prefill_operations(2), dense().prefill_operations(2));
        let widths = Widths::new(vec![6, 6, 6, 6, 8], 5, 8).unwrap();
        let cut = dense().in_per_layer_bases(widths);
        // 36 elements of a shortcut against 2 * 64 that were cut away elsewhere.
        assert!(cut.prefill_operations(3) < dense().prefill_operations(3));
        assert_eq!(cut.cache_elements(), dense().cache_elements());
    }
}
