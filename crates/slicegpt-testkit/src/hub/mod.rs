//! [`HubServer`]: a local server that answers like the Hugging Face Hub.
//!
//! There are two servers: the Hub, and the storage to which it redirects for large files. Tests
//! switch faults on.

mod answers;
mod connection;

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use sha2::{Digest, Sha256};

pub use self::connection::Request;

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
    storage: Option<SocketAddr>,
}

/// A running server. Its threads end with the process.
pub struct HubServer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Default for HubServer {
    fn default() -> Self {
        Self::start()
    }
}

impl HubServer {
    /// Starts a server without models.
    pub fn start() -> Self {
        let state = Arc::new(Mutex::new(State { token: "hf_right".into(), ..State::default() }));
        let listen = |serve: fn(&Request, &mut State) -> connection::Reply| {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
            let address = listener.local_addr().expect("an address");
            let state = Arc::clone(&state);
            std::thread::spawn(move || connection::serve(&listener, &state, serve));
            address
        };
        let storage = listen(answers::storage);
        let address = listen(answers::hub);
        lock(&state).storage = Some(storage);
        Self { address, state }
    }

    /// The value for `HF_ENDPOINT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Locks the state.
    pub fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Adds the model `id` with the files of `directory` and a model card.
    pub fn add(&self, id: &str, directory: &Path) {
        let mut files = BTreeMap::from([("README.md".to_string(), b"# A model".to_vec())]);
        for entry in std::fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_file() {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                files.insert(name, std::fs::read(&path).expect("a file"));
            }
        }
        self.add_files(id, files);
    }

    /// Adds or replaces the model `id`.
    pub fn add_files(&self, id: &str, files: BTreeMap<String, Vec<u8>>) {
        let mut hash = Sha256::new();
        for (name, bytes) in &files {
            hash.update(name);
            hash.update(bytes);
        }
        let commit = format!("{:x}", hash.finalize())[..40].to_string();
        self.state().models.insert(id.into(), Model { files, access: Access::Public, commit });
    }

    /// The names of the files that were downloaded since the last call, in order.
    pub fn downloaded(&self) -> Vec<String> {
        let requests = std::mem::take(&mut self.state().requests);
        let gets = requests.iter().filter(|r| r.method == "GET" && r.path.contains("/resolve/"));
        gets.map(|r| r.path.rsplit('/').next().unwrap_or_default().to_string()).collect()
    }
}

/// Whether a file is in the storage for large files.
fn is_large(name: &str) -> bool {
    [".safetensors", ".bin", ".model"].iter().any(|end| name.ends_with(end))
}

/// The digest of a file: SHA-256 for large files, as on the Hub.
fn digest(name: &str, bytes: &[u8]) -> String {
    let whole = format!("{:x}", Sha256::digest(bytes));
    if is_large(name) { whole } else { whole[..40].into() }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
