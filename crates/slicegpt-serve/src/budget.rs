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

    /// Tokens of each text of an answer to `asked`, where it was not said how many: with so many it takes
    /// a quarter of the memory.
    pub fn room(&self, asked: &Asked) -> usize {
        let tokens = self.bytes / 4 / (TEXT + told(asked)) / asked.n as u64;
        usize::try_from(tokens).unwrap_or(usize::MAX)
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
            let field = if asked.alternatives.is_some() { "logprobs" } else { "prompt" };
            return Err(ApiError::invalid(field, "answer_too_large", message));
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
    length + TEXT * written + told(asked) * (prompt + written)
}

/// Bytes of a token with all that is told of it.
fn told(asked: &Asked) -> u64 {
    asked.alternatives.map_or(0, |alternatives| TOLD * (alternatives as u64 + 1))
}
