//! [`Server`]: a listening socket, and the threads behind it.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::{Builder, Runtime};

use crate::http::app::App;
use crate::http::connections;
use crate::http::options::Options;
use crate::language::Language;
use crate::limits::Limits;
use crate::schedule::forward::Forward;
use crate::schedule::scheduler::Scheduler;
use crate::state::ServerState;

/// Threads for connections, which do little work compared with the model.
const CONNECTION_THREADS: usize = 2;

/// Threads for blocking work: two each for tokenising prompts, for conversations, and for
/// serialising long responses.
const BLOCKING_THREADS: usize = 6;

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// Bytes of a response that the operating system buffers per connection.
const SEND_BUFFER: u32 = 64 << 10;

/// A server that listens, and serves once [`Server::run`] is called.
pub struct Server {
    runtime: Runtime,
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Listens at the first of `addresses` that is available; port 0 means any free port.
    ///
    /// # Errors
    ///
    /// If none is available: the error of the last one.
    pub fn bind(addresses: &[SocketAddr]) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(CONNECTION_THREADS)
            .max_blocking_threads(BLOCKING_THREADS)
            .thread_name("http")
            .enable_all()
            .build()?;
        let inside = runtime.enter();
        let mut result =
            Err(io::Error::new(io::ErrorKind::NotFound, "the host name has no address"));
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

    /// The address it listens at.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves requests until `stop`, and then until all requests received before are answered. The
    /// model runs on this thread. Failures go to `log`, one line at a time.
    pub fn run(
        self,
        language: Language,
        forward: &dyn Forward,
        options: Options,
        stop: impl Fn() -> bool + Send + 'static,
        log: &dyn Fn(&str),
    ) {
        let Self { runtime, listener, .. } = self;
        let limits = options.limits.clone();
        let (jobs, receiver) = mpsc::channel();
        let context = language.context_length.min(cache_tokens(forward, &limits));
        let state = Arc::new(ServerState::new(language, limits, context));
        let app = Arc::new(App::new(state.clone(), options, jobs));
        let connections = runtime.spawn(connections::serve(listener, app, stop));
        Scheduler::new(state, forward, receiver, log).run(|| connections.is_finished());
        runtime.shutdown_timeout(Duration::from_secs(1));
    }
}

/// Number of tokens that the KV cache memory has room for.
fn cache_tokens(forward: &dyn Forward, limits: &Limits) -> usize {
    let one = slicegpt_models::Cache::allocated(1);
    let steps = limits.cache_bytes / forward.cache_bytes(one).max(1);
    usize::try_from(steps).unwrap_or(usize::MAX).saturating_mul(one)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Allows a restart right after the server ended. On Windows the option means something else.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    // Accepted connections inherit it.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
