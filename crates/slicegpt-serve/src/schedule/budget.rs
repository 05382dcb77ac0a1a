//! [`Budget`]: the memory of responses, reserved before generation and released when they are sent.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::ApiError;
use crate::request::params::Params;
use crate::request::prompt::TokenizedPrompt;

/// Estimated bytes of the text of a token.
const TEXT_BYTES: u64 = 4;

/// Estimated bytes of a token, or of one of its `top_logprobs`, with its logprob: text and JSON.
const LOGPROB_BYTES: u64 = 128;

/// The unit in which memory is reserved, in bytes.
const UNIT: u64 = 1 << 10;

/// The memory of all responses.
pub struct Budget {
    bytes: u64,
    free: Arc<Semaphore>,
}

impl Budget {
    /// A budget of `bytes` for all responses together.
    pub fn new(bytes: u64) -> Self {
        let units = usize::try_from(bytes / UNIT).unwrap_or(usize::MAX);
        Self { bytes, free: Arc::new(Semaphore::new(units.min(Semaphore::MAX_PERMITS))) }
    }

    /// Maximum length of each completion of a request that sets no `max_tokens`, in tokens: then
    /// the response takes a quarter of the budget.
    pub fn default_max_tokens(&self, params: &Params) -> usize {
        let tokens = self.bytes / 4 / (TEXT_BYTES + logprob_bytes(params)) / params.n as u64;
        usize::try_from(tokens).unwrap_or(usize::MAX)
    }

    /// Reserves memory for a response in which up to `max_tokens[i]` tokens follow `prompts[i]`.
    ///
    /// # Errors
    ///
    /// 400 if the response exceeds the whole budget, 429 if it exceeds what is free now.
    pub fn reserve(
        &self,
        params: &Params,
        prompts: &[TokenizedPrompt],
        max_tokens: &[usize],
    ) -> Result<OwnedSemaphorePermit, ApiError> {
        let each = prompts.iter().zip(max_tokens);
        let each = each.map(|(prompt, max_tokens)| completion_bytes(params, prompt, *max_tokens));
        let bytes = each.fold(0u64, u64::saturating_add).saturating_mul(params.n as u64);
        if bytes > self.bytes {
            let message = format!(
                "the response would take {} MB of memory; this server has {} for all responses. \
                 Please ask for fewer or shorter completions, or fewer alternatives per token.",
                bytes.div_ceil(1_000_000),
                self.bytes / 1_000_000
            );
            let field = if params.top_logprobs.is_some() { "logprobs" } else { "prompt" };
            return Err(ApiError::invalid(field, "answer_too_large", message));
        }
        let units = u32::try_from(bytes / UNIT).unwrap_or(u32::MAX);
        self.free.clone().try_acquire_many_owned(units).map_err(|_| ApiError::queue_full())
    }
}

/// Bytes of a completion of `max_tokens` tokens.
fn completion_bytes(params: &Params, prompt: &TokenizedPrompt, max_tokens: usize) -> u64 {
    let (prompt_tokens, prompt_bytes) =
        if params.echo { (prompt.ids.len() as u64, prompt.text.len() as u64) } else { (0, 0) };
    let generated = max_tokens as u64;
    prompt_bytes + TEXT_BYTES * generated + logprob_bytes(params) * (prompt_tokens + generated)
}

/// Bytes of the logprobs of a token.
fn logprob_bytes(params: &Params) -> u64 {
    params.top_logprobs.map_or(0, |top_logprobs| LOGPROB_BYTES * (top_logprobs as u64 + 1))
}
