//! Bad input: every refusal is one line that names the problem, with exit code 2, and nothing on
//! the disk has changed.
//!
//! Every module is a table of bad input. [`sandbox`] holds the checks.

mod config;
mod cut;
mod device;
mod gguf;
mod gguf_import;
mod output;
mod pickle;
mod samples;
mod sandbox;
mod sliced;
mod system;
mod tasks;
mod values;
mod weights;
