//! [`serve`]: connections, until the server is asked to end.

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
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};
use tokio_io_timeout::TimeoutStream;

use crate::app::App;
use crate::expiry::{Expiry, expired};
use crate::routes::router;

/// Bytes of an answer that wait in the server where the connection takes no more.
const BUFFER: usize = 64 << 10;

/// How long a client has for the head of a request, and a connection may be idle.
const HEAD: Duration = Duration::from_secs(60);

/// How often it is asked whether the server is to end.
const TICK: Duration = Duration::from_millis(50);

/// How long connections have for their last bytes.
const LAST: Duration = Duration::from_secs(2);

/// Answers on `listener` until `stop`, and then until all requests that came before have their answers.
pub async fn serve(listener: TcpListener, app: Arc<App>, stop: impl Fn() -> bool + Send + 'static) {
    let connections = GracefulShutdown::new();
    tokio::select! {
        () = accept(&listener, &app, &connections) => {}
        () = ended(&app, stop) => {}
    }
    drop(listener);
    let _ = timeout(LAST, connections.shutdown()).await;
}

/// Returns when the server has been asked to end, and no request is left.
async fn ended(app: &App, stop: impl Fn() -> bool) {
    while !stop() {
        sleep(TICK).await;
    }
    app.closing.store(true, Ordering::SeqCst);
    let deadline = Instant::now() + app.limits.request;
    while app.active.load(Ordering::SeqCst) > 0 && Instant::now() < deadline {
        sleep(TICK).await;
    }
}

async fn accept(listener: &TcpListener, app: &Arc<App>, connections: &GracefulShutdown) {
    let room = Arc::new(Semaphore::new(app.limits.connections));
    let router: Router = router(app.clone());
    loop {
        let Ok(place) = room.clone().acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            // Too many open files, or a client that left at once: others may do better.
            Err(_) => {
                sleep(TICK).await;
                continue;
            }
        };
        // Tokens are small and are wanted at once.
        let _ = stream.set_nodelay(true);
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(app.limits.stall));
        let (expiry, deadline) = Expiry::new();
        let router = TowerToHyperService::new(router.clone());
        let service = service_fn(move |mut request: hyper::Request<_>| {
            request.extensions_mut().insert(expiry.clone());
            router.call(request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .max_buf_size(BUFFER)
            .serve_connection(TokioIo::new(Box::pin(stream)), service);
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            tokio::select! {
                // What is wrong with a connection is its client's to know.
                _ = connection => {}
                () = expired(deadline) => {}
            }
            drop(place);
        });
    }
}
