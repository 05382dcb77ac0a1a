//! The state of the server: models, faults, and the requests so far.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard};

use sha2::{Digest, Sha256};

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The address of the server that received it.
    pub host: String,
    /// `HEAD` or `GET`.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// The `Authorization` header: the token after `Bearer `.
    pub authorization: Option<String>,
    /// The start of the requested range of bytes.
    pub from: Option<usize>,
}

/// Who may read a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everyone.
    Public,
    /// Clients with the token; for others it does not exist.
    Private,
    /// Clients with the token; others see its list of files.
    Gated,
    /// No client; the error says why.
    Disabled,
}

/// A model on the Hub.
pub struct Model {
    /// Its files, by name.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Who may read it.
    pub access: Access,
    /// The commit of the branch `main`.
    pub commit: String,
}

/// The faults that are switched on.
#[derive(Default)]
pub struct Faults {
    /// The connection ends before this byte of a large file, this many times.
    pub cut: Option<(usize, usize)>,
    /// No bytes are sent from this byte of a large file on, but the connection stays open, this
    /// many times.
    pub stall: Option<(usize, usize)>,
    /// Requests for ranges are answered with the whole file.
    pub no_ranges: bool,
    /// The last byte of large files is wrong.
    pub garbled: bool,
    /// Every response has this status, this many times.
    pub status: Option<(u16, usize)>,
    /// The list of files is not JSON.
    pub nonsense: bool,
}

/// The contents, the faults and the requests of a server.
#[derive(Default)]
pub struct State {
    /// The models by id.
    pub models: BTreeMap<String, Model>,
    /// The valid token.
    pub token: String,
    /// The faults that are switched on.
    pub faults: Faults,
    /// The requests so far, in order.
    pub requests: Vec<Request>,
    /// The address of the storage server.
    pub(super) storage: Option<SocketAddr>,
}

/// Whether a file is in the storage for large files.
pub fn is_large(name: &str) -> bool {
    [".safetensors", ".bin", ".model"].iter().any(|end| name.ends_with(end))
}

/// The digest of a file: SHA-256 for large files, as on the Hub.
pub fn digest(name: &str, bytes: &[u8]) -> String {
    let whole = format!("{:x}", Sha256::digest(bytes));
    if is_large(name) { whole } else { whole[..40].into() }
}

/// Locks the state, even after a panic of another thread.
pub fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
