//! [`HubError`]: why a model of the Hub is not available.

use std::io;
use std::path::PathBuf;

pub(crate) type Result<T> = std::result::Result<T, HubError>;

/// Why a model of the Hub is not available.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the fields are named for what they hold and appear in the message
pub enum HubError {
    #[error(
        "{id}: no such directory, and no such model at {endpoint}, or it is private: check the \
         name, or {}",
        access_advice(*token)
    )]
    UnknownModel { id: String, endpoint: String, token: bool },
    #[error("{id}: the model has no revision `{revision}`; give a branch, a tag or a commit of it")]
    UnknownRevision { id: String, revision: String },
    #[error(
        "{id}: access is gated: accept its terms at {endpoint}/{id}, then {}",
        access_advice(*token)
    )]
    Gated { id: String, endpoint: String, token: bool },
    #[error(
        "{id}: {endpoint} does not know the token; correct HF_TOKEN, or log in again with \
         `hf auth login`"
    )]
    Token { id: String, endpoint: String },
    #[error("{id}: {endpoint} refuses: {reason}")]
    Refused { id: String, endpoint: String, reason: String },
    #[error("{id}: {endpoint} has no file {file}, though it lists it; try again")]
    UnknownFile { id: String, endpoint: String, file: String },
    #[error("{id}: {endpoint} answers with status {status}{}; try again later", because(reason))]
    Status { id: String, endpoint: String, status: u16, reason: String },
    #[error(
        "{id}: no such directory, and {endpoint} cannot be reached ({reason}); the model is not in \
         {} either",
        cache.display()
    )]
    Nowhere { id: String, endpoint: String, reason: String, cache: PathBuf },
    #[error("{id}: {endpoint} cannot be reached ({reason})")]
    Unreachable { id: String, endpoint: String, reason: String },
    #[error(
        "{id}: no such directory, and HF_HUB_OFFLINE is set; the model is not in {}: unset the \
         variable to download it",
        cache.display()
    )]
    Offline { id: String, cache: PathBuf },
    #[error(
        "{id}: {} is not in the cache ({}), and {why}",
        missing.join(" or "),
        snapshot.display()
    )]
    Incomplete { id: String, missing: Vec<String>, snapshot: PathBuf, why: String },
    #[error("{id}: the repository has no {}; {}", missing.join(" or "), instead)]
    NoModel { id: String, missing: Vec<String>, instead: String },
    #[error(
        "{id}: {file}: the download was interrupted: {reason}; run it again to resume at byte {at}"
    )]
    Cut { id: String, file: String, reason: String, at: u64 },
    #[error(
        "{id}: {file}: the contents are not those that {endpoint} announced ({reason}); try again"
    )]
    Damaged { id: String, endpoint: String, file: String, reason: String },
    #[error("{id}: {endpoint} does not answer like the Hub: {reason}; is HF_ENDPOINT right?")]
    UnexpectedReply { id: String, endpoint: String, reason: String },
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{}: {reason}", path.display())]
    Index { path: PathBuf, reason: String },
    #[error("HF_ENDPOINT: `{0}` is not an address; it must begin with https:// or http://")]
    Endpoint(String),
    #[error(
        "the token of the Hub has spaces or characters outside ASCII; correct HF_TOKEN or the \
         token file"
    )]
    TokenIsNone,
    #[error("there is no home directory for the cache of models; set HF_HOME to a directory")]
    NoCache,
    #[error("interrupted")]
    Interrupted,
}

/// How to get access, depending on whether a token was sent.
fn access_advice(token: bool) -> &'static str {
    if token {
        "use a token that may read it: the one in use (HF_TOKEN, or of `hf auth login`) may not"
    } else {
        "set HF_TOKEN to a token that may read it"
    }
}

fn because(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(" ({reason})") }
}

impl HubError {
    /// Wraps an IO error with the file it happened to.
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }

    /// Whether a retry may succeed.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Cut { .. } => true,
            Self::Status { status, .. } => *status >= 500 || matches!(status, 408 | 429),
            _ => false,
        }
    }
}
