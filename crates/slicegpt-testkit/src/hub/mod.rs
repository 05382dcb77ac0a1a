//! [`HubServer`]: a Hub of the tests, which answers as the real one does.
//!
//! Two servers: the Hub, and the one it sends large files on to. Faults are switched on by the test.

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
    /// Who has the token; others are not told that it exists.
    Private,
    /// Who has the token; others see its list of files.
    Gated,
    /// Nobody, for a reason that is said.
    Disabled,
}

/// What the Hub holds under one id.
pub struct Model {
    /// Its files, by name.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Who may read it.
    pub access: Access,
    /// What `main` is.
    pub commit: String,
}

/// What goes wrong.
#[derive(Default)]
pub struct Faults {
    /// The connection ends before this byte of a large file, so many times.
    pub cut: Option<(usize, usize)>,
    /// No byte comes after this one of a large file, but the connection stays, so many times.
    pub stall: Option<(usize, usize)>,
    /// Files are always sent from their first byte.
    pub no_ranges: bool,
    /// Another byte comes than should, in large files.
    pub garbled: bool,
    /// Every answer has this status, so many times.
    pub status: Option<(u16, usize)>,
    /// The list of files is no JSON.
    pub nonsense: bool,
}

/// What the server is and was asked.
#[derive(Default)]
pub struct State {
    /// By id.
    pub models: BTreeMap<String, Model>,
    /// The token that opens doors.
    pub token: String,
    /// What goes wrong.
    pub faults: Faults,
    /// What was asked, in order.
    pub requests: Vec<Request>,
    /// Where large files are.
    storage: Option<SocketAddr>,
}

/// A Hub, until it is dropped; its threads end with the process.
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
    /// A Hub that holds nothing.
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

    /// What `HF_ENDPOINT` is.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its state, while the guard is held.
    pub fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Holds the files of `directory` under `id`, and one of a model card.
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

    /// Holds `files` under `id`, in place of what was there.
    pub fn add_files(&self, id: &str, files: BTreeMap<String, Vec<u8>>) {
        let mut hash = Sha256::new();
        for (name, bytes) in &files {
            hash.update(name);
            hash.update(bytes);
        }
        let commit = format!("{:x}", hash.finalize())[..40].to_string();
        self.state().models.insert(id.into(), Model { files, access: Access::Public, commit });
    }

    /// The names of the files whose contents were asked for since the last time, in order.
    pub fn downloaded(&self) -> Vec<String> {
        let requests = std::mem::take(&mut self.state().requests);
        let gets = requests.iter().filter(|r| r.method == "GET" && r.path.contains("/resolve/"));
        gets.map(|r| r.path.rsplit('/').next().unwrap_or_default().to_string()).collect()
    }
}

/// Whether a file is kept as a large one.
fn is_large(name: &str) -> bool {
    [".safetensors", ".bin", ".model"].iter().any(|end| name.ends_with(end))
}

/// What names contents: for large files their SHA-256, as the Hub has it.
fn digest(name: &str, bytes: &[u8]) -> String {
    let whole = format!("{:x}", Sha256::digest(bytes));
    if is_large(name) { whole } else { whole[..40].into() }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
