//! [`GgufFile`]: a GGUF file that is read. Its header is checked as a whole when it is opened;
//! tensors stay on disk until they are read.
//!
//! Files come from anywhere. What a header claims is compared with the bytes that are there, so
//! that opening a file costs time and memory in proportion to its header, and every tensor of an
//! open file lies inside it.

mod cursor;
mod field;
mod gguf_file;
mod header;
mod integer;
mod split;
mod stored_tensor;
mod values;

pub(crate) use gguf_file::GgufFile;
pub(crate) use split::open;
pub(crate) use stored_tensor::StoredTensor;
pub(crate) use values::shortest;
