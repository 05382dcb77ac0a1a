//! [`Budget`]: the memory of answers, from before they are made until they are read.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::asked::Asked;
use crate::error::ApiError;
use crate::prompt::Tokenised;

/// Bytes of the text of a token, more or less.
const TEXT: u64 = 4;

/// Bytes of a token, or of an alternative to one, with how likely it was: its name, and the JSON of it.
const TOLD: u64 = 128;

/// Memory is shared out in parts of so many bytes.
const PART: u64 = 1 << 10;

/// The memory of all answers.
pub struct Budget {
    bytes: u64,
    left: Arc<Semaphore>,
}

impl Budget {
    /// `bytes`, for all answers together.
    pub fn new(bytes: u64) -> Self {
        let parts = usize::try_from(bytes / PART).unwrap_or(usize::MAX);
        Self { bytes, left: Arc::new(Semaphore::new(parts.min(Semaphore::MAX_PERMITS))) }
    }

    /// The share of an answer to `asked`, where each of `prompts` is followed by so many tokens.
    pub fn share(
        &self,
        asked: &Asked,
        prompts: &[Tokenised],
        lengths: &[usize],
    ) -> Result<OwnedSemaphorePermit, ApiError> {
        let texts = prompts.iter().zip(lengths).map(|(prompt, most)| bytes(asked, prompt, *most));
        let bytes = texts.fold(0u64, u64::saturating_add).saturating_mul(asked.n as u64);
        if bytes > self.bytes {
            let megabytes = |bytes: u64| bytes.div_ceil(1_000_000);
            let message = format!(
                "the answer would take {} MB of memory; this server has {} for all answers. Please ask for \
                 fewer or shorter texts, or fewer alternatives of tokens.",
                megabytes(bytes),
                self.bytes / 1_000_000
            );
            let told = asked.alternatives.is_some();
            return Err(ApiError::invalid(
                if told { "logprobs" } else { "prompt" },
                "answer_too_large",
                message,
            ));
        }
        let parts = u32::try_from(bytes / PART).unwrap_or(u32::MAX);
        self.left.clone().try_acquire_many_owned(parts).map_err(|_| ApiError::full())
    }
}

/// Bytes of a text.
fn bytes(asked: &Asked, prompt: &Tokenised, most: usize) -> u64 {
    let (prompt, length) = match asked.echo {
        true => (prompt.ids.len() as u64, prompt.text.len() as u64),
        false => (0, 0),
    };
    let written = most as u64;
    let told = asked.alternatives.map_or(0, |alternatives| TOLD * (alternatives as u64 + 1));
    length + TEXT * written + told * (prompt + written)
}
