//! [`Options`]: the settings of a server.

use crate::http::cors::Origin;
use crate::limits::Limits;
use crate::request::params::ReasoningFormat;

/// The settings of a server.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Resource limits.
    pub limits: Limits,
    /// The API key that clients must send, if one is required.
    pub api_key: Option<String>,
    /// The origins whose pages may read the responses in a browser.
    pub origins: Vec<Origin>,
    /// Where the reasoning in a response is returned, unless a request says so.
    pub reasoning_format: ReasoningFormat,
    /// Seed of the first completion whose request sets none; each further one takes the next
    /// number.
    pub seed: u64,
}
