//! [`Server`]: an address, and a model behind it.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::{Builder, Runtime};

use crate::app::App;
use crate::connections;
use crate::forward::Forward;
use crate::language::Language;
use crate::limits::Limits;
use crate::scheduler::Scheduler;

/// Threads for connections: next to the model they have little to do.
const THREADS: usize = 2;

/// Threads that tokenise prompts.
const TOKENISING: usize = 2;

/// Connections that wait to be taken.
const BACKLOG: u32 = 1024;

/// Bytes of an answer that wait in the system for a slow reader, of each connection.
const SEND_BUFFER: u32 = 64 << 10;

/// What is told to a server beside its model.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How much it takes upon itself.
    pub limits: Limits,
    /// What clients must know, if anything.
    pub api_key: Option<String>,
    /// Of the random numbers of requests that give no seed: the first has this, the next the next.
    pub seed: u64,
}

/// An address where a model will answer.
pub struct Server {
    runtime: Runtime,
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Takes the first of `addresses` that can be had; port 0 is any that is free.
    ///
    /// # Errors
    ///
    /// If none can be had: that of the last.
    pub fn bind(addresses: &[SocketAddr]) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .max_blocking_threads(TOKENISING)
            .thread_name("http")
            .enable_all()
            .build()?;
        let inside = runtime.enter();
        let mut result = Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
        for address in addresses {
            result = listen(*address);
            if result.is_ok() {
                break;
            }
        }
        let listener = result?;
        drop(inside);
        let address = listener.local_addr()?;
        Ok(Self { runtime, listener, address })
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop`, and then until all that was asked before is answered. The model runs on
    /// this thread. What a person at the server should know goes to `log`, a line at a time.
    pub fn run(
        self,
        language: Language,
        forward: &dyn Forward,
        options: Options,
        stop: impl Fn() -> bool + Send + 'static,
        log: &dyn Fn(&str),
    ) {
        let Self { runtime, listener, .. } = self;
        let Options { limits, api_key, seed } = options;
        let (jobs, receiver) = mpsc::channel();
        let context = language.context_length.min(tokens_of_cache(forward, &limits));
        let app = Arc::new(App::new(language, limits, api_key, context, seed, jobs));
        let connections = runtime.spawn(connections::serve(listener, app.clone(), stop));
        Scheduler::new(app, forward, receiver, log).run(|| connections.is_finished());
        runtime.shutdown_timeout(Duration::from_secs(1));
    }
}

/// Tokens that all caches have room for.
pub(crate) fn tokens_of_cache(forward: &dyn Forward, limits: &Limits) -> usize {
    let one = slicegpt_models::Cache::room(1);
    let steps = limits.cache_bytes / forward.cache_bytes(one).max(1);
    usize::try_from(steps).unwrap_or(usize::MAX).saturating_mul(one)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A server that was ended may be started again at once. Windows means something else by it.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    // Connections inherit it.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
