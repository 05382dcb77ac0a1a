//! [`watch`]: every request is counted, until the last byte of its answer is out or nobody wants it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use crate::app::App;
use crate::expiry::Expiry;
use crate::metrics::{Answered, Endpoint};

/// What is counted of a client that left before it was answered.
const LEFT: u32 = 499;

/// How long a client has beyond the time of a request to take that it was not answered in it.
const LAST: Duration = Duration::from_secs(2);

/// Counts a request and times it.
pub async fn watch(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_string());
    let endpoint = path.unwrap_or_else(|| "other".into());
    app.active.fetch_add(1, Ordering::SeqCst);
    let expiry = request.extensions().get::<Expiry>().cloned();
    if let Some(expiry) = &expiry {
        expiry.set(Some(app.deadline() + LAST));
    }
    let mut watched = Watched { app, endpoint, status: LEFT, began: Instant::now(), expiry };
    let response = next.run(request).await;
    watched.status = response.status().as_u16().into();
    response.map(|body| Body::new(Watching { body, _watched: watched }))
}

/// A request that is being answered.
struct Watched {
    app: Arc<App>,
    endpoint: String,
    status: u32,
    began: Instant,
    expiry: Option<Expiry>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        let Self { app, endpoint, status, began, expiry } = self;
        let endpoint = std::mem::take(endpoint);
        let seconds =
            app.metrics.seconds.get_or_create_owned(&Endpoint { endpoint: endpoint.clone() });
        seconds.observe(began.elapsed().as_secs_f64());
        app.metrics.requests.get_or_create_owned(&Answered { endpoint, status: *status }).inc();
        app.active.fetch_sub(1, Ordering::SeqCst);
        if let Some(expiry) = expiry {
            // What is left of the answer is in the connection, and bounded by its stalls.
            expiry.set(None);
        }
    }
}

/// A body that ends a request when it is dropped.
struct Watching {
    body: Body,
    _watched: Watched,
}

impl HttpBody for Watching {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
