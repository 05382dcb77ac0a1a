//! Models as GGUF files, as llama.cpp reads them.
//!
//! [`Export`] plans what a decoder becomes (names, types, metadata, or why llama.cpp cannot express it) and
//! writes it tensor by tensor. [`Writer`] is the container, [`Type`] the block quantisation,
//! [`Vocabulary`] a tokenizer as metadata. What an architecture of llama.cpp can hold is data in one file
//! each under `architecture/`.
//!
//! This crate refuses to know how weights come about and what is in them: it takes a
//! [`slicegpt_core::TensorSource`], selects rows and rounds.

mod architecture;
mod error;
mod export;
mod file_type;
mod metadata;
mod quant;
mod read;
mod rope;
mod tensors;
mod tokenizer;
mod value;
mod writer;

pub use error::GgufError;
pub use export::{Export, ExportError, Fallback};
pub use file_type::FileType;
pub use quant::Type;
pub use tokenizer::{PRE_TOKENIZERS, Vocabulary};
pub use value::{Metadata, Value};
pub use writer::{Info, Writer};
