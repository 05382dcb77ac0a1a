//! From the JSON of a request to typed parameters and tokens.

pub mod chat;
pub mod completions;
pub mod fields;
pub mod params;
pub mod prompt;
