//! What scripts and later versions may rely on: what is printed, what is written, and that numbers
//! said in two places are the same number.

mod checkpoint;
mod companions;
mod json;
mod plan;
mod samples;
mod scores;
