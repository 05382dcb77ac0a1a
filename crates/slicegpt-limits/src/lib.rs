//! Limits on what a file may cost its reader.
//!
//! A file of `n` bytes may cost its reader a stated multiple of `n` of memory, and bounded time. So
//! readers open files through [`open`], read whole files through [`read`] and [`read_text`], and
//! count what they keep in a [`Budget`].
//!
//! This crate knows no format, and no path: its errors are [`std::io::Error`]s that say what the
//! limit is, and the caller adds the file.

mod budget;
mod file;

pub use budget::Budget;
pub use file::{open, read, read_input, read_text};

/// Bytes of a file that describes a model: a configuration, an index of shards, a chat template.
pub const MAX_DESCRIPTION: u64 = 64 << 20;

/// Bytes of a tokenizer. The largest known, of 260 000 tokens, has 35 MB.
pub const MAX_TOKENIZER: u64 = 256 << 20;
