//! Arguments that several commands share, and what they mean.

pub mod computing;
pub mod cut;
pub mod options;
pub mod refit;
pub mod running;
pub mod sampling;
pub mod text;
