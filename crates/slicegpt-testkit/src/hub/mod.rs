//! [`HubServer`]: a local server that answers like the Hugging Face Hub.
//!
//! There are two servers: the Hub, and the storage to which it redirects for large files. Tests
//! switch faults on.

mod answers;
mod connection;
mod state;

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use sha2::{Digest, Sha256};

use self::state::lock;
pub use self::state::{Access, Faults, Model, Request, State};

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
