//! A model over HTTP, as clients of OpenAI's interface expect it.
//!
//! A [`Server`] takes requests on threads of its own; the thread that calls [`Server::run`] runs the
//! model. Between two steps of it new texts join those on their way, and those that have ended leave,
//! so that all of them share every forward. What may wait, run, and be kept is bounded by [`Limits`].
//!
//! | what | where |
//! |---|---|
//! | sockets, routes, who may come in | `server`, `connections`, `expiry`, `routes`, `watch`, `body` |
//! | what is asked | `fields`, `asked`, `prompt`, `completions`, `chat` |
//! | what is answered | `answer`, `stream`, `sliced`, `tokens`, `error`, `metrics` |
//! | between both and the model | `job`, `app`, `budget`, `wanted`, `scheduler`, `running`, `forward` |
//!
//! This crate refuses to know files, the command line, and how a tensor is computed.

mod answer;
mod app;
mod asked;
mod body;
mod budget;
mod chat;
mod completions;
mod connections;
mod error;
mod expiry;
mod fields;
mod forward;
mod job;
mod language;
mod limits;
mod metrics;
mod prompt;
mod routes;
mod running;
mod scheduler;
mod server;
mod sliced;
mod stream;
mod tokens;
mod wanted;
mod watch;

pub use forward::{Forward, Logits};
pub use language::Language;
pub use limits::Limits;
pub use server::{Options, Server};
