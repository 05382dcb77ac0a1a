//! [`Forward`]: the model as the scheduler sees it.

use slicegpt_core::TensorSource;
use slicegpt_generate::{Engine, EngineError};
use slicegpt_models::Cache;

/// The logits after a token, `vocab_size` of them; or a message that says why there are none.
pub type Logits = Result<Vec<f32>, String>;

/// Runs forward passes: an [`Engine`], or a wrapper of one. Clients see its error messages.
pub trait Forward {
    /// Prefills `cache` with `ids`, which follow the tokens it holds.
    ///
    /// # Errors
    ///
    /// If the forward pass fails.
    fn prefill(&self, ids: &[u32], cache: &Cache) -> Result<(), String>;

    /// Prefills `cache` with `ids`, and hands the logits after each of them to `sink`, `vocab_size`
    /// at a time.
    ///
    /// # Errors
    ///
    /// If the forward pass fails.
    fn prompt_logits(
        &self,
        ids: &[u32],
        cache: &Cache,
        sink: &mut dyn FnMut(&[f32]),
    ) -> Result<(), String>;

    /// Runs the new tokens of a batch of sequences; returns the logits after the last token of
    /// each, or what is wrong with that sequence.
    ///
    /// # Errors
    ///
    /// If the forward pass fails for the whole batch.
    fn decode(&self, batch: &[(&[u32], &Cache)]) -> Result<Vec<Logits>, String>;

    /// Bytes of a KV cache for `tokens` tokens.
    fn cache_bytes(&self, tokens: usize) -> u64;
}

impl<S: TensorSource> Forward for Engine<S>
where
    S::Error: std::error::Error + 'static,
{
    fn prefill(&self, ids: &[u32], cache: &Cache) -> Result<(), String> {
        Engine::prefill(self, ids, cache).map_err(message)
    }

    fn prompt_logits(
        &self,
        ids: &[u32],
        cache: &Cache,
        sink: &mut dyn FnMut(&[f32]),
    ) -> Result<(), String> {
        Engine::logits_of_each(self, ids, cache, sink).map_err(message)
    }

    fn decode(&self, batch: &[(&[u32], &Cache)]) -> Result<Vec<Logits>, String> {
        let logits = Engine::next_finite_logits(self, batch).map_err(message)?.into_iter();
        let finite =
            |logits: Option<_>| logits.ok_or_else(|| message(EngineError::<S::Error>::NotFinite));
        Ok(logits.map(finite).collect())
    }

    fn cache_bytes(&self, tokens: usize) -> u64 {
        Engine::cache_bytes(self, tokens)
    }
}

fn message<E: std::error::Error + 'static>(error: EngineError<E>) -> String {
    error.to_string()
}
