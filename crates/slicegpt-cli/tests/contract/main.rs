//! The contract with scripts and later versions: what is printed and written, and that numbers
//! reported in two places agree.

mod checkpoint;
mod companions;
mod evaluations;
mod json;
mod mixture;
mod plan;
mod samples;
mod scores;
mod texts;
