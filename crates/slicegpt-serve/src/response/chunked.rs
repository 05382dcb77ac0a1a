//! [`chunked`]: a finished body, sent in small chunks as fast as the client reads it.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;

/// Bytes per chunk. The connection buffers a few of them.
const CHUNK: usize = 16 << 10;

/// A response whose body is `json`. `guard` is dropped once the last chunk has been taken.
pub fn chunked<G: Send + 'static>(json: Vec<u8>, guard: G) -> Response {
    let length = json.len();
    let chunks = unfold((json, 0, guard), |(json, start, guard)| async move {
        // A copy, so that a buffered chunk does not keep the whole body alive.
        let chunk = Bytes::copy_from_slice(&json[start..json.len().min(start + CHUNK)]);
        let next = start + chunk.len();
        (!chunk.is_empty()).then_some((Ok::<_, Infallible>(chunk), (json, next, guard)))
    });
    let headers = [(CONTENT_TYPE, "application/json".into()), (CONTENT_LENGTH, length.to_string())];
    (headers, Body::from_stream(chunks)).into_response()
}
