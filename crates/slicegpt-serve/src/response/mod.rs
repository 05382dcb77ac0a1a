//! From generated tokens to the JSON of a response, whole or streamed.

pub mod chat;
pub mod chunked;
pub mod completions;
pub mod logprobs;
pub mod output;
pub mod reasoning;
pub mod stream;
