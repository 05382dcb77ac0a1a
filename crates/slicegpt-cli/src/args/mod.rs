//! Arguments that several commands share, and their meaning.

pub mod calibration;
pub mod computing;
pub mod conversations;
pub mod cut;
pub mod evaluation;
pub mod options;
pub mod refit;
pub mod running;
pub mod sampling;
pub mod source;
pub mod text;
pub mod writing;
