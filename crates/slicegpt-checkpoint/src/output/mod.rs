//! Writing: shards that are laid out in advance, copied files, and outputs that appear whole, by
//! rename.

mod aside;
mod copy;
mod error;
mod fill;
mod parts;
mod place;
mod staging;
mod sync;
mod temporary;
mod writer;

pub use copy::{copy_companions, is_companion, is_tokenizer_file};
pub use error::OutputError;
pub use place::lies_in;
pub use staging::Staging;
pub use temporary::remove_unfinished;
pub use writer::{Writer, Written};
