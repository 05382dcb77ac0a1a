//! Python's ways to format values: `%`, `str.format` and format specifications.

pub mod braces;
pub mod digits;
pub mod percent;
pub mod spec;
