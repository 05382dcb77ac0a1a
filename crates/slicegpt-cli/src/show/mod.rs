//! Output for users: help, progress, tables, JSON, sizes, errors with advice.

pub mod advise;
pub mod error;
pub mod evaluations;
pub mod help;
pub mod output;
pub mod progress;
pub mod size;
