//! [`serve`]: accepts connections until the server is asked to shut down.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout};
use tokio_io_timeout::TimeoutStream;

use crate::http::app::App;
use crate::http::expiry::{Expiry, IdleConnections, expired};
use crate::http::routes::router;

/// Bytes of a response that are buffered per connection.
const BUFFER: usize = 64 << 10;

/// How long the head of a request may take, and how long a connection may be idle between two.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);

/// How often the server checks whether it should shut down.
const TICK: Duration = Duration::from_millis(50);

/// How long connections have to send their last bytes.
const LAST_BYTES: Duration = Duration::from_secs(2);

/// Serves connections of `listener` until `stop`, and then until all requests received before are
/// answered.
pub async fn serve(listener: TcpListener, app: Arc<App>, stop: impl Fn() -> bool + Send + 'static) {
    let connections = GracefulShutdown::new();
    tokio::select! {
        () = accept(&listener, &app, &connections) => {}
        () = drained(&app, stop) => {}
    }
    drop(listener);
    let _ = timeout(LAST_BYTES, connections.shutdown()).await;
}

/// Returns once `stop` is true and no request is active, or the request timeout has passed.
async fn drained(app: &App, stop: impl Fn() -> bool) {
    while !stop() {
        sleep(TICK).await;
    }
    app.closing.store(true, Ordering::SeqCst);
    let deadline = Instant::now() + app.state.limits.request;
    while app.active.load(Ordering::SeqCst) > 0 && Instant::now() < deadline {
        sleep(TICK).await;
    }
}

async fn accept(listener: &TcpListener, app: &Arc<App>, connections: &GracefulShutdown) {
    let slots = Arc::new(Semaphore::new(app.state.limits.connections));
    let idle = IdleConnections::default();
    let router: Router = router(app.clone());
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            // Too many open files, or a client that disconnected at once: try again.
            Err(_) => {
                sleep(TICK).await;
                continue;
            }
        };
        let Some(slot) = slot(&slots, &idle).await else { return };
        // Streamed tokens are small and should be sent at once.
        let _ = stream.set_nodelay(true);
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(app.state.limits.stall));
        let (expiry, deadline) = Expiry::new(idle.clone());
        let ending = expiry.clone();
        let router = TowerToHyperService::new(router.clone());
        let service = service_fn(move |mut request: hyper::Request<_>| {
            request.extensions_mut().insert(expiry.clone());
            router.call(request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(BUFFER)
            .serve_connection(TokioIo::new(Box::pin(stream)), service);
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            tokio::select! {
                // Errors of a connection concern only its client.
                _ = connection => {}
                () = expired(deadline) => {}
            }
            ending.end();
            drop(slot);
        });
    }
}

/// A place for one more connection. If all are taken, idle connections are closed until there is
/// one.
async fn slot(slots: &Arc<Semaphore>, idle: &IdleConnections) -> Option<OwnedSemaphorePermit> {
    if let Ok(slot) = slots.clone().try_acquire_owned() {
        return Some(slot);
    }
    loop {
        idle.close_one();
        if let Ok(slot) = timeout(TICK, slots.clone().acquire_owned()).await {
            return slot.ok();
        }
    }
}
