//! Text from a model, token by token.
//!
//! An [`Engine`] holds a whole decoder on its device and runs the next tokens of any number of
//! [`Sequence`]s together, each with a cache of its own. A sequence knows how its tokens are chosen
//! ([`Sampling`]), when it ends ([`Ending`], [`Finish`]) and what text its tokens make as they come; a
//! [`Score`] says how likely one was.
//! [`Template`] makes a prompt of a conversation, as the model was trained to read one.
//!
//! This crate refuses to know the command line, sockets, and how a tensor is computed.

mod chat;
mod defaults;
mod engine;
mod json;
mod likelihood;
mod log_softmax;
mod sampling;
mod score;
mod sequence;
mod stop;
mod tail;
mod writer;

pub use chat::{Message, Template, TemplateError};
pub use defaults::Defaults;
pub use engine::{Engine, EngineError};
pub use likelihood::{Candidate, Likelihood, Scored};
pub use log_softmax::log_probabilities;
pub use sampling::{Sampler, Sampling};
pub use score::Score;
pub use sequence::{Ending, Finish, Piece, Sequence};
pub use stop::Stops;
pub use tail::tail;
pub use writer::TextWriter;
