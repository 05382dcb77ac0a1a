//! Directories of adapters: what is read, written, and refused.

mod configs;
mod kit;
mod models;
mod round_trip;
mod tensors;
