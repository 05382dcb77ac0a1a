//! Whatever a user gives that cannot be worked with, the answer is one line that names it, exit
//! code 2, and a disk on which nothing has changed.
//!
//! Every module is a table of such things; [`sandbox`] makes them and holds the one check.

mod config;
mod cut;
mod device;
mod gguf;
mod output;
mod pickle;
mod samples;
mod sandbox;
mod sliced;
mod system;
mod tasks;
mod values;
mod weights;
