//! An HTTP server for a model, with OpenAI's API.
//!
//! A [`Server`] accepts requests on its own threads; the thread that calls [`Server::run`] runs the
//! model. Requests are served by continuous batching: between two forward passes new sequences join
//! the batch and finished ones leave it. [`Limits`] bounds what may wait, run and be kept in
//! memory.
//!
//! | concern | folder |
//! |---|---|
//! | sockets, routes, authentication, shared state of the handlers | `http` |
//! | JSON of a request to typed parameters and tokens | `request` |
//! | generated tokens to JSON, whole or streamed | `response` |
//! | which sequences the model runs next, and their memory | `schedule` |
//!
//! The folders depend on each other in one direction: `http` uses `response`, that uses `schedule`,
//! and that uses `request`. The modules at the top level are shared by all four.
//!
//! This crate knows nothing about files, the command line, or how a tensor is computed: the model
//! is a [`Forward`].

mod error;
mod http;
mod language;
mod limits;
mod metrics;
mod request;
mod response;
mod schedule;
mod state;

pub use http::cors::Origin;
pub use http::options::Options;
pub use http::server::Server;
pub use language::Language;
pub use limits::Limits;
pub use request::params::ReasoningFormat;
pub use schedule::forward::{Forward, Logits};
