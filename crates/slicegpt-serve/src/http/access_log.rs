//! [`access_log`]: counts and times every request, until the last byte of its response is sent or
//! its client disconnects.

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

use crate::http::app::App;
use crate::http::expiry::Expiry;
use crate::metrics::{EndpointLabel, RequestLabels};

/// The status that is counted if the client disconnected before the response.
const CLIENT_CLOSED: u32 = 499;

/// Extra time that a client has to read the error of a request that timed out.
const GRACE: Duration = Duration::from_secs(2);

/// Middleware that records a request in the metrics and sets the deadline of its connection.
pub async fn access_log(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_string());
    let endpoint = path.unwrap_or_else(|| "other".into());
    app.active.fetch_add(1, Ordering::SeqCst);
    let expiry = request.extensions().get::<Expiry>().cloned();
    if let Some(expiry) = &expiry {
        expiry.set(Some(app.deadline() + GRACE));
    }
    let start = Instant::now();
    let mut record = Record { app, endpoint, status: CLIENT_CLOSED, start, expiry };
    let response = next.run(request).await;
    record.status = response.status().as_u16().into();
    response.map(|body| Body::new(RecordedBody { body, _record: record }))
}

/// The record of a request, which goes into the metrics when it is dropped.
struct Record {
    app: Arc<App>,
    endpoint: String,
    status: u32,
    start: Instant,
    expiry: Option<Expiry>,
}

impl Drop for Record {
    fn drop(&mut self) {
        let Self { app, endpoint, status, start, expiry } = self;
        let endpoint = std::mem::take(endpoint);
        let metrics = &app.state.metrics;
        let label = EndpointLabel { endpoint: endpoint.clone() };
        metrics.seconds.get_or_create_owned(&label).observe(start.elapsed().as_secs_f64());
        metrics.requests.get_or_create_owned(&RequestLabels { endpoint, status: *status }).inc();
        app.active.fetch_sub(1, Ordering::SeqCst);
        if let Some(expiry) = expiry {
            // The rest of the response is in the connection's buffer; the write timeout bounds it.
            expiry.set(None);
        }
    }
}

/// A body that ends the record of its request when it is dropped.
struct RecordedBody {
    body: Body,
    _record: Record,
}

impl HttpBody for RecordedBody {
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
