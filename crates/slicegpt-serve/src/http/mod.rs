//! Sockets, routes, authentication, and the state that the handlers share.

pub mod access_log;
pub mod app;
pub mod body;
pub mod connections;
pub mod cors;
pub mod endpoints;
pub mod expiry;
pub mod options;
pub mod routes;
pub mod server;
