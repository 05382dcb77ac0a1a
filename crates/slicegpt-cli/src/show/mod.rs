//! What users see: help, progress, tables, JSON, sizes, advice about errors.

pub mod advise;
pub mod help;
pub mod output;
pub mod progress;
pub mod size;
