//! `slicegpt serve`: the binary with a fixture model, tested with plain HTTP.

#![cfg(unix)]

mod answers;
mod bad_requests;
mod chat;
mod endpoints;
mod limits;
mod memory;
mod reasoning;
mod scores;
mod shutdown;
mod slow_clients;
mod streams;
mod together;
