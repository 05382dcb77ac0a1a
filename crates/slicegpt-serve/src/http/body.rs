//! [`read`]: the body of a request, with bounds on its size and on the time it takes.

use std::time::Duration;

use axum::body::BodyDataStream;
use axum::extract::Request;
use axum::http::header::CONTENT_LENGTH;
use futures_util::StreamExt;
use tokio::time::{Instant, timeout, timeout_at};

use crate::error::ApiError;

/// How long an unwanted body is still read. Many clients do not read the response before they have
/// written the whole request.
const DRAIN_TIME: Duration = Duration::from_secs(2);

/// Maximum number of bytes of an unwanted body that are read.
const DRAIN_BYTES: usize = 64 << 20;

/// The body of `request`, which may have at most `max` bytes.
///
/// # Errors
///
/// If it is larger, breaks off, or is not complete at `deadline`.
pub async fn read(request: Request, max: usize, deadline: Instant) -> Result<Vec<u8>, ApiError> {
    let length = request.headers().get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let mut body = request.into_body().into_data_stream();
    let mut bytes = Vec::with_capacity(length.unwrap_or(0).min(max).min(1 << 16));
    let mut too_large = length.is_some_and(|length| length > max);
    while !too_large {
        match timeout_at(deadline, body.next()).await {
            Err(_) => return Err(ApiError::body_timeout()),
            Ok(None) => return Ok(bytes),
            Ok(Some(Err(error))) => {
                return Err(ApiError::malformed_body(format!("the body broke off: {error}")));
            }
            Ok(Some(Ok(more))) => {
                too_large = bytes.len() + more.len() > max;
                bytes.extend(more);
            }
        }
    }
    drop(bytes);
    drain(body).await;
    Err(ApiError::body_too_large(max))
}

/// Reads and drops the body of a request that is refused before its body is needed.
pub async fn discard(request: Request) {
    drain(request.into_body().into_data_stream()).await;
}

async fn drain(mut body: BodyDataStream) {
    let mut left = DRAIN_BYTES;
    // The rest of a larger body is not read: the connection is closed after the response.
    let drain = async {
        while let Some(Ok(more)) = body.next().await {
            left = left.saturating_sub(more.len());
            if left == 0 {
                break;
            }
        }
    };
    let _ = timeout(DRAIN_TIME, drain).await;
}
