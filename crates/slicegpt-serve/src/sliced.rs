//! [`sliced`]: a body that is ready, given away as fast as its reader takes it.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;

/// Bytes that are handed to the connection together: it holds a few of these.
const SLICE: usize = 16 << 10;

/// An answer of JSON. `kept` is dropped with the last slice, not before.
pub fn sliced<K: Send + 'static>(json: Vec<u8>, kept: K) -> Response {
    let length = json.len();
    let slices = unfold((json, 0, kept), |(json, at, kept)| async move {
        // A copy, so that a slice that waits keeps nothing else.
        let slice = Bytes::copy_from_slice(&json[at..json.len().min(at + SLICE)]);
        let next = at + slice.len();
        (!slice.is_empty()).then_some((Ok::<_, Infallible>(slice), (json, next, kept)))
    });
    let headers = [(CONTENT_TYPE, "application/json".into()), (CONTENT_LENGTH, length.to_string())];
    (headers, Body::from_stream(slices)).into_response()
}
