//! Models as GGUF files, as llama.cpp reads and writes them.
//!
//! [`Import`] opens a file as a Hugging Face checkpoint: config, tensors that are dequantised when
//! they are read, tokenizer. [`Export`] plans the file of a decoder (its architecture, names, types
//! and metadata), or says why llama.cpp cannot express the model, and writes it tensor by tensor.
//! [`GgufWriter`] writes the container, [`Type`] quantises blocks of values, [`StoredType`] gives
//! the values of blocks, [`Vocabulary`] turns a tokenizer into metadata. What an architecture of
//! llama.cpp can hold is data, one file each under `architecture/`.
//!
//! This crate does not know where weights come from or what their values mean: it takes a
//! [`slicegpt_core::TensorSource`], selects rows and rounds. It knows nothing about passes or the
//! command line.
//! What a file that is read claims about itself is compared with its bytes before it is used.

mod architecture;
mod error;
mod export;
mod file;
mod file_type;
mod import;
mod metadata;
mod quant;
mod read;
mod rope;
mod tensors;
mod tokenizer;
mod value;
mod writer;

pub use error::{Cause, ExportError, GgufError};
pub use export::{Export, Fallback};
pub use file_type::FileType;
pub use import::{Import, ImportedTensor, TokenizerFiles};
pub use quant::{StoredType, Type};
pub use tokenizer::{PRE_TOKENIZERS, Vocabulary};
pub use value::{Metadata, Value};
pub use writer::{GgufWriter, TensorInfo};
