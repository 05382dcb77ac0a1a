//! What users see: help, progress, tables, JSON, sizes.

pub mod help;
pub mod output;
pub mod progress;
pub mod size;
