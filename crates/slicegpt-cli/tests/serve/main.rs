//! `slicegpt serve`: the real binary, a fixture model, and clients of plain HTTP.

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
