//! [`Forward`]: what runs tokens.

use slicegpt_core::TensorSource;
use slicegpt_generate::{Engine, EngineError};
use slicegpt_models::Cache;

/// The logits after a token, `vocab_size` of them; or what is wrong with these.
pub type Logits = Result<Vec<f32>, String>;

/// What runs tokens: an [`Engine`], or something around one. Errors are what clients are told.
pub trait Forward {
    /// Has `cache` see `ids`, which follow those it has seen.
    ///
    /// # Errors
    ///
    /// If the forward fails.
    fn read(&self, ids: &[u32], cache: &Cache) -> Result<(), String>;

    /// The same, and the logits after each token go to `sink`, `vocab_size` at a time.
    ///
    /// # Errors
    ///
    /// If the forward fails.
    fn each(&self, ids: &[u32], cache: &Cache, sink: &mut dyn FnMut(&[f32])) -> Result<(), String>;

    /// The logits after the last token of each sequence, or what is wrong with them.
    ///
    /// # Errors
    ///
    /// If the forward fails, for all of them.
    fn next(&self, sequences: &[(&[u32], &Cache)]) -> Result<Vec<Logits>, String>;

    /// Bytes of a cache for `tokens` tokens.
    fn cache_bytes(&self, tokens: usize) -> u64;
}

impl<S: TensorSource> Forward for Engine<S>
where
    S::Error: std::error::Error + 'static,
{
    fn read(&self, ids: &[u32], cache: &Cache) -> Result<(), String> {
        Engine::read(self, ids, cache).map_err(said)
    }

    fn each(&self, ids: &[u32], cache: &Cache, sink: &mut dyn FnMut(&[f32])) -> Result<(), String> {
        Engine::each(self, ids, cache, sink).map_err(said)
    }

    fn next(&self, sequences: &[(&[u32], &Cache)]) -> Result<Vec<Logits>, String> {
        let logits = Engine::next_of_each(self, sequences).map_err(said)?.into_iter();
        let finite =
            |logits: Option<_>| logits.ok_or_else(|| said(EngineError::<S::Error>::NotFinite));
        Ok(logits.map(finite).collect())
    }

    fn cache_bytes(&self, tokens: usize) -> u64 {
        Engine::cache_bytes(self, tokens)
    }
}

fn said<E: std::error::Error + 'static>(error: EngineError<E>) -> String {
    error.to_string()
}
