//! `slicegpt serve`: the binary with a fixture model, tested with plain HTTP.

#![cfg(unix)]

mod answers;
mod bad_requests;
mod chat;
mod endpoints;
mod limits;
mod memory;
mod scores;
mod shutdown;
mod streams;
mod together;
