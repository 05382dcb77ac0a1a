//! Chat templates of checkpoints: which one a checkpoint has, and what it makes of a conversation.
//!
//! [`ChatFiles`] reads the files, a [`Template`] makes prompts, and [`Jinja`] is the language.
//!
//! Templates are Jinja, and behave as in transformers: with Python's values, methods and formats.
//! They come from anywhere, so an evaluation has a budget ([`MAX_STEPS`], [`MAX_BYTES`]).

mod attributes;
mod budget;
mod error;
mod evaluate;
mod files;
mod filters;
mod format;
mod globals;
mod jinja;
mod methods;
mod operators;
mod predicates;
mod repeat;
mod run;
mod state;
mod syntax;
mod template;
mod value;

pub use budget::{MAX_BYTES, MAX_STEPS, Stop};
pub use error::{Error, TemplateError};
pub use files::ChatFiles;
pub use jinja::Jinja;
pub use template::{Message, Template};
